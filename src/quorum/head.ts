import { parseObject } from '../base/json.ts';
import { isRevision } from '../store/snapshot.ts';
import { isRound } from './ballot.ts';
import { unknownChangeError } from './failures.ts';
import type { Membership, Voter } from './membership.ts';
import type { Value } from './register.ts';

/** The value of the register that holds a registry. It names the contents, which are stored beside it. */
export type Head = Value & {
  /** Random, from the first commit on: tells one cluster from another. */
  readonly cluster: string;
  /** The revision of the store. */
  readonly revision: number;
  /** The contents, the oldest first: a record of a later segment replaces that of an earlier one. */
  readonly segments: readonly SegmentName[];
  /** The last commits, the latest first, so that a proposer recognizes its own. */
  readonly commits: readonly string[];
  /** State of a voter → the round of a proposal that it has accepted before this one, at least. */
  readonly accepted?: Readonly<Record<string, number>>;
  /** The last commit before the first recovery, and its revision; undefined without one. */
  readonly recovered?: LastCommit | undefined;
};

type LastCommit = { readonly revision: number; readonly commit: string };

/** A segment by the SHA-256 of its bytes. */
export type SegmentName = { readonly hash: string; readonly bytes: number };

/** How many commits a head names. */
export const COMMITS_KEPT = 32;

/**
 * The revision of a commit; undefined if it was not made. `lowest` is the lowest revision that it was proposed as: a voter may have
 * accepted the proposal, and another process may have completed it. Throws FleetError `registry-unavailable` if the head does not name all
 * commits from there on.
 */
export function revisionOf(id: string, { revision, commits }: Head, lowest: number): number | undefined {
  const later = commits.indexOf(id);
  if (later >= 0) return revision - later;
  if (revision - commits.length < lowest) return undefined;
  throw unknownChangeError(`${revision - lowest} other changes followed before an answer`);
}

/** What the next era of a head says about the first recovery. */
export function recoveredFrom({ recovered, revision, commits: [commit] }: Head): Head['recovered'] {
  return recovered ?? (commit === undefined ? undefined : { revision, commit });
}

/** Whether a registry is known to have all changes of a former one. */
export function isContained({ revision, commits: [last = ''] }: Head, { commits, recovered }: Head): boolean {
  if (commits.includes(last)) return true;
  return recovered !== undefined && (revision < recovered.revision || last === recovered.commit);
}

/** The largest head, in bytes, and the most voters and segments: a larger one was not written by fleet. */
const MAX_HEAD_BYTES = 64 * 1024;
const MAX_VOTERS = 9;
const MAX_SEGMENTS = 64;

export function formatHead(head: Head): string {
  return JSON.stringify({ fleet: 'head', format: 1, ...head });
}

/** Undefined for anything that {@link formatHead} does not write. */
export function parseHead(text: string): Head | undefined {
  const value = text.length > MAX_HEAD_BYTES ? undefined : parseObject(text);
  if (value?.fleet !== 'head' || value.format !== 1) return undefined;
  const { cluster, revision, segments, commits, accepted, recovered } = value;
  const membership = readMembership(value.membership);
  const valid =
    membership !== undefined &&
    isId(cluster) &&
    isRevision(revision) &&
    isList(segments, MAX_SEGMENTS, isSegmentName) &&
    isList(commits, COMMITS_KEPT, isId) &&
    (accepted === undefined || isRounds(accepted)) &&
    (recovered === undefined || isLastCommit(recovered));
  if (!valid) return undefined;
  const rest = { ...(accepted !== undefined && { accepted }), ...(recovered !== undefined && { recovered }) };
  return { membership, cluster, revision, segments, commits, ...rest };
}

export function sameContents(a: Head, b: Head): boolean {
  return (
    a.cluster === b.cluster &&
    a.revision === b.revision &&
    a.segments.every(({ hash }, i) => b.segments[i]?.hash === hash) &&
    a.segments.length === b.segments.length
  );
}

function readMembership(value: unknown): Membership | undefined {
  if (!isObject(value)) return undefined;
  const { epoch, voters, previous } = value;
  if (!isRevision(epoch) || !isList(voters, MAX_VOTERS, isVoter) || voters.length === 0) return undefined;
  if (previous === undefined) return { epoch, voters };
  return isList(previous, MAX_VOTERS, isVoter) ? { epoch, voters, previous } : undefined;
}

function isVoter(value: unknown): value is Voter {
  return (
    isObject(value) && isId(value.state) && typeof value.machine === 'string' && value.machine.length <= 253
  );
}

function isSegmentName(value: unknown): value is SegmentName {
  return (
    isObject(value) &&
    typeof value.hash === 'string' &&
    /^[0-9a-f]{64}$/.test(value.hash) &&
    Number.isSafeInteger(value.bytes)
  );
}

function isRounds(value: unknown): value is Record<string, number> {
  if (!isObject(value)) return false;
  const rounds = Object.entries(value);
  return rounds.length <= MAX_VOTERS && rounds.every(([id, round]) => isId(id) && isRound(round));
}

function isLastCommit(value: unknown): value is LastCommit {
  return isObject(value) && isRevision(value.revision) && isId(value.commit);
}

/** Random ids are 32 hexadecimal digits. */
function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function isList<T>(value: unknown, most: number, is: (each: unknown) => each is T): value is T[] {
  return Array.isArray(value) && value.length <= most && value.every(is);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
