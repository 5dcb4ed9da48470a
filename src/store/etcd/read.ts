import { type Snapshot, withoutCovered } from '../snapshot.ts';
import type { StoreRecord } from '../store.ts';
import { type EtcdClient, type Message, toBase64 } from './client.ts';
import { type Found, PAGE, range, rangeOf, rangesOf, readRecords, revisionOf } from './read-records.ts';
import {
  corrupt,
  decodeHead,
  type Keys,
  type KeyValue,
  NO_STATE,
  type Range,
  readKeys,
  type State,
  sortRecords,
} from './records.ts';

/**
 * The current state, with all records below `prefixes` and those that `known` has; `known`, with a later revision of etcd, if
 * it has them and has not changed.
 */
export async function readState(
  client: EtcdClient,
  keys: Keys,
  known: State,
  prefixes: readonly string[],
  signal?: AbortSignal,
): Promise<State> {
  const options = signal === undefined ? {} : { signal };
  const parts = partsOf(known, prefixes);
  const missing = parts.filter((part) => !known.prefixes.includes(part));
  for (;;) {
    const answer = await client.call('kv/txn', question(keys, known, parts, missing), options);
    const etcdRevision = revisionOf(answer);
    const read = (first: readonly Message[], below: readonly string[]) =>
      readRecords(client, keys, first, below, known, etcdRevision, options);
    if (answer.succeeded === true) {
      if (missing.length === 0) return { ...known, etcdRevision };
      const found = await read(rangesOf(answer), missing);
      if (found === 'compacted') continue;
      return { ...known, ...merged(keys, known, found), prefixes: parts, etcdRevision };
    }
    const [headRange = {}, fillingRange = {}, page = {}, ...ranges] = rangesOf(answer);
    const [head] = readKeys(headRange);
    if (head === undefined) {
      const [filling] = readKeys(fillingRange);
      const [left] = readKeys(page);
      // A registry without its head does not exist yet, even if there are other keys.
      if (filling === undefined && left !== undefined)
        throw corrupt(left.key, `there is no "${keys.head}" beside it`);
      return { ...NO_STATE, prefixes: [''], filling: filling?.modRevision ?? '0', etcdRevision };
    }
    const isSmall = page.more !== true;
    const found = await (isSmall ? read([page], ['']) : read(ranges, parts));
    if (found === 'compacted') continue;
    return stateFrom(keys, head, found, isSmall ? [''] : parts, etcdRevision);
  }
}

/** Everything that a store was asked for is read again, because it will be asked for again. */
function partsOf(known: State, prefixes: readonly string[]): readonly string[] {
  const parts = withoutCovered([...known.prefixes, ...prefixes]);
  return parts.length > MOST_PARTS ? [''] : parts;
}

/** Parts of one request: etcd accepts 128 operations in a transaction. */
const MOST_PARTS = 100;

/** Records that are read with the first part: a small registry then takes one request. */
const SMALL = 200;

/** The records of a state together with others of the same revision. */
function merged(keys: Keys, { snapshot, pieces }: State, found: Found): Pick<State, 'snapshot' | 'pieces'> {
  const records = new Map([...snapshot.records, ...found.records].map((record) => [record.key, record]));
  return {
    snapshot: snapshotOf(keys, snapshot.revision, [...records.values()]),
    pieces: new Map([...pieces, ...found.pieces]),
  };
}

/** If the head is known, only what is missing is asked for. */
function question(keys: Keys, known: State, parts: readonly string[], missing: readonly string[]): Message {
  // Nothing is known yet: a revision that never exists makes etcd return everything.
  const head = known === NO_STATE ? '-1' : known.headRevision;
  const compare = [{ key: toBase64(keys.head), target: 'MOD', result: 'EQUAL', mod_revision: head }];
  const page = (range: Range, limit: number): Message => ({ request_range: { ...rangeOf(...range), limit } });
  const below = (part: string): Message => page(keys.below(part), PAGE);
  const ahead = page(keys.records, known === NO_STATE && !parts.includes('') ? SMALL : 1);
  return {
    compare,
    success: missing.map(below),
    failure: [range(keys.head), range(keys.filling), ahead, ...parts.map(below)],
  };
}

function stateFrom(
  keys: Keys,
  head: KeyValue,
  { records, pieces }: Found,
  prefixes: readonly string[],
  etcdRevision: bigint,
): State {
  const { revision, commits } = decodeHead(head.key, head.value);
  return {
    snapshot: snapshotOf(keys, revision, records),
    prefixes,
    headRevision: head.modRevision,
    filling: '0',
    etcdRevision,
    commits,
    pieces,
  };
}

/** Throws `registry-corrupt` for a record of a later revision. */
function snapshotOf(keys: Keys, revision: number, records: readonly StoreRecord[]): Snapshot {
  const late = records.find((record) => record.revision > revision);
  if (late !== undefined)
    throw corrupt(keys.record(late.key), `it is of revision ${late.revision}, beyond ${revision}`);
  return { revision, records: sortRecords(records) };
}
