import { FleetError } from '../../base/errors.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Change } from '../store.ts';
import { answerOf, type EtcdClient } from './client.ts';
import { type Message, revisionOf, unchanged } from './messages.ts';
import { COMMITS_KEPT, encodeHead, encodeRecord, type Keys, type Pieces, type State } from './records.ts';
import {
  batches,
  cut,
  keep,
  nest,
  type Operation,
  PIECE_BYTES,
  put,
  putPieces,
  REQUEST_BYTES,
  remove,
  sizeOf,
} from './transaction.ts';

/** A commit: its changes to a state, and the name by which it can be found later. */
type Commit = {
  readonly before: State;
  readonly after: Snapshot;
  readonly changes: readonly Change[];
  readonly name: string;
};

type WriteResult =
  | { readonly kind: 'written'; readonly state: State }
  /** Another commit came first; nothing changed. */
  | { readonly kind: 'late' }
  /** It may be written, now or later, unless another commit comes first. */
  | { readonly kind: 'unanswered'; readonly error: FleetError };

/**
 * Writes a commit in one transaction, if the head is still that of `before`.
 *
 * One request holds 1.5 MiB. Longer values are first written in pieces under a lease; the transaction then takes
 * them out of the lease, or fails because they are gone. So etcd itself removes the pieces of an unfinished commit, a
 * minute later. The first commit of a registry may be of any size ({@link fill}).
 */
export async function writeState(client: EtcdClient, keys: Keys, commit: Commit): Promise<WriteResult> {
  const { before, after, name } = commit;
  const commits = [name, ...before.commits].slice(0, COMMITS_KEPT);
  const head = put(keys.head, encodeHead({ revision: after.revision, commits }));
  const long = tooLong(keys, commit, head.bytes);
  const staged = new Map(long.map(({ key, value }) => [key, { ...cut(value), value }]));
  const isEmptied = after.records.length === 0 && before.prefixes.includes('');
  const operations = [
    head,
    ...(isEmptied
      ? [remove(...keys.records), remove(...keys.allPieces)]
      : operationsFor(keys, commit, staged)),
  ];
  if (sizeOf(operations) > REQUEST_BYTES) {
    if (before.headRevision !== '0') throw tooMuch(commit.changes.length);
    return fill(client, keys, commit, head);
  }
  if (before.filling !== '0') throw unfinished();

  const lease = staged.size === 0 ? undefined : await stage(client, keys, [...staged.values()]);
  const compare = [unchanged(keys.head, before.headRevision)];
  const result = await client.ask('kv/txn', { compare, success: nest(operations) }, { once: true });
  if (result.kind === 'unreachable') return { kind: 'unanswered', error: result.error };
  const answer = answerOf(result);
  if (lease !== undefined) await client.ask('lease/revoke', { ID: lease });
  if (answer.succeeded !== true) return { kind: 'late' };
  return written(after, answer, { prefixes: before.prefixes, commits, pieces: piecesAfter(commit, staged) });
}

/** The result of a commit that an answer of etcd confirms. */
function written(
  after: Snapshot,
  answer: Message,
  rest: Pick<State, 'prefixes' | 'commits' | 'pieces'>,
): WriteResult {
  const etcdRevision = revisionOf(answer);
  const headRevision = `${etcdRevision}`;
  return { kind: 'written', state: { snapshot: after, headRevision, filling: '0', etcdRevision, ...rest } };
}

type Put = Extract<Change, { kind: 'put' }>;
type Staged = Pieces & { readonly value: string };

/** How long pieces may wait for their commit, in seconds. */
const STAGE_TTL = 60;

/** The longest values: as many as have to be stored in pieces so that the rest fits into a request. */
function tooLong(keys: Keys, commit: Commit, headBytes: number): readonly Put[] {
  const puts = commit.changes.filter((change) => change.kind === 'put');
  const chosen: Put[] = [];
  let bytes = headBytes + sizeOf(operationsFor(keys, commit, new Map()));
  for (const change of puts.toSorted((a, b) => b.value.length - a.value.length)) {
    const pieces = cut(change.value);
    // The value is replaced by the name of its pieces, plus one operation for each piece.
    const rest = encodeRecord(0, pieces).length + sizeOf(keepAll(keys, pieces));
    const gain = Buffer.byteLength(change.value) - rest;
    if (bytes <= REQUEST_BYTES || gain <= 0) break;
    bytes -= gain;
    chosen.push(change);
  }
  return chosen;
}

function operationsFor(
  keys: Keys,
  commit: Commit,
  staged: ReadonlyMap<string, Pieces>,
): readonly Operation[] {
  const { before, after, changes } = commit;
  return changes.flatMap((change) => {
    if (change.kind === 'check') return [];
    const key = keys.record(change.key);
    const old = before.pieces.get(change.key);
    const dropped = old === undefined ? [] : [remove(...keys.pieces(old.id))];
    if (change.kind === 'delete') return change.ifRevision === 0 ? [] : [remove(key), ...dropped];
    const pieces = staged.get(change.key);
    const kept = pieces === undefined ? [] : keepAll(keys, pieces);
    return [put(key, encodeRecord(after.revision, pieces ?? change.value)), ...kept, ...dropped];
  });
}

function keepAll(keys: Keys, { id, count }: Pieces): readonly Operation[] {
  return Array.from({ length: count }, (_, index) => keep(keys.piece(id, index)));
}

/** Puts pieces under a new lease, and returns the name of the lease. */
async function stage(client: EtcdClient, keys: Keys, all: readonly Staged[]): Promise<string> {
  const { ID } = await client.call('lease/grant', { TTL: `${STAGE_TTL}` });
  const lease = `${ID}`;
  const puts = all.flatMap(({ value, ...pieces }) => putPieces(keys, pieces, value, lease));
  for (const batch of batches(puts)) await client.call('kv/txn', { success: nest(batch) });
  return lease;
}

function piecesAfter({ before, changes }: Commit, staged: ReadonlyMap<string, Pieces>) {
  const pieces = new Map(before.pieces);
  for (const { kind, key } of changes) {
    if (kind !== 'check') pieces.delete(key);
    const now = staged.get(key);
    if (now !== undefined) pieces.set(key, now);
  }
  return pieces;
}

function tooMuch(changes: number): FleetError {
  return new FleetError(
    'registry-unavailable',
    `Cannot store ${changes} changes at once: they do not fit into one request of etcd`,
    { hint: 'ask for fewer units at once' },
  );
}

/**
 * Writes the first commit of a registry that takes more than one request, such as the copy of a large registry. The
 * records are written first, while the key `filling` exists, and the head last: until then readers find nothing, and no
 * other process can write. The next one removes an interrupted one; one that another process replaces fails.
 */
async function fill(
  client: EtcdClient,
  keys: Keys,
  { before, after, changes, name }: Commit,
  head: Operation,
): Promise<WriteResult> {
  const isNew = unchanged(keys.head, '0');
  const left = [put(keys.filling, name), remove(...keys.records), remove(...keys.allPieces)];
  const begun = await client.call(
    'kv/txn',
    { compare: [isNew, unchanged(keys.filling, before.filling)], success: nest(left) },
    { once: true },
  );
  if (begun.succeeded !== true) return { kind: 'late' };
  const compare = [isNew, unchanged(keys.filling, `${revisionOf(begun)}`)];

  const pieces = new Map<string, Pieces>();
  const operations = changes.flatMap((change): readonly Operation[] => {
    if (change.kind !== 'put') return [];
    const { key, value } = change;
    if (Buffer.byteLength(value) <= PIECE_BYTES)
      return [put(keys.record(key), encodeRecord(after.revision, value))];
    const those = cut(value);
    pieces.set(key, those);
    return [put(keys.record(key), encodeRecord(after.revision, those)), ...putPieces(keys, those, value)];
  });
  for (const batch of batches(operations, BATCH_BYTES)) {
    const { succeeded } = await patiently(client, { compare, success: nest(batch) });
    if (succeeded !== true) throw overtaken();
  }
  const success = nest([head, remove(keys.filling)]);
  const result = await client.ask('kv/txn', { compare, success }, { once: true });
  if (result.kind === 'unreachable') return { kind: 'unanswered', error: result.error };
  const answer = answerOf(result);
  if (answer.succeeded !== true) throw overtaken();
  return written(after, answer, { prefixes: [''], commits: [name], pieces });
}

/** Less than a request may hold: with thousands of keys, etcd on a slow disk would not answer in time. */
const BATCH_BYTES = 65_536;

/** Puts until an endpoint has answered, up to five times: repeating it is harmless. */
async function patiently(client: EtcdClient, transaction: Message): Promise<Message> {
  for (let attempt = 1; ; attempt++) {
    const result = await client.ask('kv/txn', transaction);
    if (result.kind !== 'unreachable' || attempt === 5) return answerOf(result);
  }
}

/** The error for a commit to a registry that another process is filling. */
function unfinished(): FleetError {
  return new FleetError(
    'registry-conflict',
    'Cannot change the etcd registry: a copy into it is not finished',
    { hint: 'Wait until it is finished; if it was interrupted, repeat it: fleetctl registry copy FROM TO' },
  );
}

function overtaken(): FleetError {
  return new FleetError('registry-conflict', 'Cannot fill the etcd registry: another process is filling it', {
    hint: 'Check its units before you try again: fleetctl list-unit-files',
  });
}
