import { FleetError } from '../../base/errors.ts';
import { parseObject } from '../../base/json.ts';
import { EMPTY_SNAPSHOT, isRevision, type Snapshot } from '../snapshot.ts';
import type { StoreRecord } from '../store.ts';
import { type Range, rangeBelow } from './messages.ts';

/**
 * The registry in etcd, below the prefix of the cluster:
 *
 *     revision               {"fleet":"registry","format":1,"revision":7,"commits":["…"]}
 *     records/units/a.service   7⏎{"version":1,…}
 *     records/contents/…        7 4f1c… 3⏎
 *     pieces/4f1c…/0, 1, 2   a value that is too long for one request, in pieces
 *     filling                exists while a copy is not finished: the records are not a registry yet
 *
 * A record is the revision at which it last changed, a line end, and the value. `commits` names the last commits,
 * newest first.
 */
const FORMAT = 1;

/** How many commits the head names: so many may follow a commit before the check whether it happened. */
export const COMMITS_KEPT = 32;

/** The registry at one revision of etcd, or a part of it. */
export type State = {
  readonly snapshot: Snapshot;
  /** The records with these prefixes are in the snapshot; `['']` for all. */
  readonly prefixes: readonly string[];
  /** The revision of etcd at which the head was written: equal for equal states. 0 for none. */
  readonly headRevision: string;
  /** The revision of etcd at which another process began to fill a registry that has no head yet; 0 for none. */
  readonly filling: string;
  /** The revision of etcd up to which this is known to be the state. */
  readonly etcdRevision: bigint;
  /** The names of the last commits, newest first. */
  readonly commits: readonly string[];
  /** The pieces of each value that is stored in pieces, by key. */
  readonly pieces: ReadonlyMap<string, Pieces>;
};

/** `id` names them, `count` is how many. */
export type Pieces = { readonly id: string; readonly count: number };

export const NO_STATE: State = {
  snapshot: EMPTY_SNAPSHOT,
  prefixes: [],
  headRevision: '0',
  filling: '0',
  etcdRevision: 0n,
  commits: [],
  pieces: new Map(),
};

export type Head = { readonly revision: number; readonly commits: readonly string[] };

export function encodeHead({ revision, commits }: Head): string {
  return JSON.stringify({ fleet: 'registry', format: FORMAT, revision, commits });
}

/** Throws `registry-newer` and `registry-corrupt`. */
export function decodeHead(key: string, text: string): Head {
  const head = parseObject(text);
  if (head === undefined) throw corrupt(key, 'not JSON');
  const { fleet, format, revision, commits } = head;
  if (fleet !== 'registry' || !isRevision(format)) throw corrupt(key, 'not the head of a fleet registry');
  if (format > FORMAT) {
    throw new FleetError(
      'registry-newer',
      `could not read the etcd registry: "${key}" is of format ${format}, and this version knows format ${FORMAT}`,
      { hint: 'a newer fleetctl wrote it: update fleetctl here' },
    );
  }
  if (!isRevision(revision)) throw corrupt(key, 'bad revision');
  if (!Array.isArray(commits) || !commits.every((name) => typeof name === 'string'))
    throw corrupt(key, 'bad names of commits');
  return { revision, commits };
}

/** The stored text of a record, with its value or with the name of its pieces. */
export function encodeRecord(revision: number, value: string | Pieces): string {
  return typeof value === 'string' ? `${revision}\n${value}` : `${revision} ${value.id} ${value.count}\n`;
}

/** Reads a stored record. Throws `registry-corrupt` with the key. */
export function decodeRecord(
  key: string,
  text: string,
): { readonly revision: number; readonly value: string | Pieces } {
  const [head = '', revision, id, count] = /^(\d+)(?: ([0-9a-f-]+) (\d+))?\n/.exec(text) ?? [];
  if (!isRevision(Number(revision))) throw corrupt(key, 'not a record as fleet writes it');
  const value = id === undefined ? text.slice(head.length) : { id, count: Number(count) };
  return { revision: Number(revision), value };
}

/** Records in the order of a store. */
export function sortRecords(records: readonly StoreRecord[]): readonly StoreRecord[] {
  return records.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** The error for keys in etcd that fleetctl would not have written in this form. */
export function corrupt(key: string, what: string): FleetError {
  return new FleetError('registry-corrupt', `the etcd registry is damaged at "${key}": ${what}`, {
    hint: 'restore etcd from a backup, or name another prefix in fleet.conf if these keys are not of fleet',
  });
}

/** The keys of etcd that belong to one cluster. */
export type Keys = {
  readonly head: string;
  readonly record: (key: string) => string;
  /** Where the records begin and end. */
  readonly records: Range;
  /** The same for those whose key starts with a prefix. */
  readonly below: (prefix: string) => Range;
  readonly piece: (id: string, index: number) => string;
  /** Where the pieces of one value begin and end. */
  readonly pieces: (id: string) => Range;
  /** Where all pieces begin and end. */
  readonly allPieces: Range;
  /** Exists while a registry that takes more than one request is being written; the head is written last. */
  readonly filling: string;
  readonly leader: string;
};

export function keysOf(prefix: string): Keys {
  const records = `${prefix}/records/`;
  return {
    head: `${prefix}/revision`,
    record: (key) => `${records}${key}`,
    records: rangeBelow(records),
    below: (start) => rangeBelow(`${records}${start}`),
    // With a fixed width, so that keys sort by number.
    piece: (id, index) => `${prefix}/pieces/${id}/${`${index}`.padStart(6, '0')}`,
    pieces: (id) => rangeBelow(`${prefix}/pieces/${id}/`),
    allPieces: rangeBelow(`${prefix}/pieces/`),
    filling: `${prefix}/filling`,
    leader: `${prefix}/leader`,
  };
}

/** The heads of registries whose records or pieces the keys below `prefix` would be. */
export function outerHeads(prefix: string): readonly string[] {
  return [...prefix.matchAll(/\/(?:records|pieces)(?=\/|$)/g)].map(
    ({ index }) => `${prefix.slice(0, index)}/revision`,
  );
}
