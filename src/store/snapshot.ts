import { FleetError } from '../base/errors.ts';
import type { Change, Store, StoreRecord } from './store.ts';

/** Everything a store holds at one revision. Never changed in place: a commit makes the next one. */
export type Snapshot = {
  readonly revision: number;
  /** Sorted by key in the order of `<`, every key once. */
  readonly records: readonly StoreRecord[];
};

/** Half of the exact integers: a token is the sum of a revision and another number of that size. */
const LAST_REVISION = 2 ** 52 - 1;

/** True for a valid revision of a store or a record. */
export function isRevision(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= LAST_REVISION;
}

export const EMPTY_SNAPSHOT: Snapshot = { revision: 0, records: [] };

export function findRecord(snapshot: Snapshot, key: string): StoreRecord | undefined {
  const record = snapshot.records[positionOf(snapshot.records, key)];
  return record?.key === key ? record : undefined;
}

/** The snapshot with only the records whose key starts with one of `prefixes`; itself for all of them. */
export function partOf(snapshot: Snapshot, prefixes: readonly string[]): Snapshot {
  const distinct = withoutCovered(prefixes);
  if (distinct[0] === '') return snapshot;
  return { ...snapshot, records: distinct.flatMap((prefix) => recordsBelow(snapshot, prefix)) };
}

/** The prefixes, sorted, without those that begin with another one, so that no key begins with two. */
export function withoutCovered(prefixes: readonly string[]): readonly string[] {
  const distinct: string[] = [];
  for (const prefix of prefixes.toSorted())
    if (distinct.length === 0 || !prefix.startsWith(distinct.at(-1) ?? '')) distinct.push(prefix);
  return distinct;
}

/** The records whose key starts with `prefix`; they are adjacent. */
export function recordsBelow(snapshot: Snapshot, prefix: string): readonly StoreRecord[] {
  if (prefix === '') return snapshot.records;
  const start = positionOf(snapshot.records, prefix);
  let end = start;
  while (snapshot.records[end]?.key.startsWith(prefix)) end++;
  return snapshot.records.slice(start, end);
}

/**
 * The snapshot after a commit, or the conflict that prevents it. If nothing changes (only checks, or
 * deletions of keys that do not exist), it is the same snapshot.
 */
export function applyChanges(
  before: Snapshot,
  changes: readonly Change[],
): { kind: 'applied'; after: Snapshot } | { kind: 'conflict'; key: string } {
  const byKey = new Map(changes.map((change) => [change.key, change]));
  if (byKey.size < changes.length) throw new TypeError('a commit names a key twice');

  const lost = changes.find(({ key, ifRevision }) => revisionOf(before, key) !== ifRevision);
  if (lost) return { kind: 'conflict', key: lost.key };

  const effective = changes.filter(
    ({ kind, ifRevision }) => kind === 'put' || (kind === 'delete' && ifRevision > 0),
  );
  if (effective.length === 0) return { kind: 'applied', after: before };

  const revision = before.revision + 1;
  if (!isRevision(revision))
    throw new FleetError(
      'registry-corrupt',
      `Cannot change the registry: it is at revision ${before.revision}, and there is no next one`,
      { hint: 'Restore it from a backup' },
    );
  return { kind: 'applied', after: withChanges(before, changes, revision) };
}

/** The snapshot at `revision` with changes whose conditions have been checked. */
export function withChanges(before: Snapshot, changes: readonly Change[], revision: number): Snapshot {
  const pieces: (readonly StoreRecord[])[] = [];
  let next = 0;
  for (const change of changes.toSorted(byKeyOrder)) {
    if (change.kind === 'check') continue;
    const at = positionOf(before.records, change.key);
    pieces.push(before.records.slice(next, at));
    if (change.kind === 'put') pieces.push([{ key: change.key, value: change.value, revision }]);
    next = before.records[at]?.key === change.key ? at + 1 : at;
  }
  pieces.push(before.records.slice(next));
  return { revision, records: pieces.flat() };
}

/** A store that always has the same content, and gives changes to `commit`. */
export function snapshotStore(snapshot: Snapshot, commit: Store['commit']): Store {
  return {
    get: async (key) => findRecord(snapshot, key),
    list: async (...prefixes) => partOf(snapshot, prefixes),
    commit,
    waitForChange: async () => false,
    close: async () => undefined,
  };
}

/** The revision a key last changed at, 0 when it does not exist. */
function revisionOf(snapshot: Snapshot, key: string): number {
  return findRecord(snapshot, key)?.revision ?? 0;
}

/** The index of `key`, or the index at which to insert it. */
function positionOf(records: readonly StoreRecord[], key: string): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((records[middle]?.key ?? key) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byKeyOrder(a: Pick<StoreRecord, 'key'>, b: Pick<StoreRecord, 'key'>): number {
  return a.key < b.key ? -1 : 1;
}
