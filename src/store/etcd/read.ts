import { findRecord, type Snapshot, withoutCovered } from '../snapshot.ts';
import type { StoreRecord } from '../store.ts';
import { answerOf, type EtcdClient } from './client.ts';
import {
  type KeyValue,
  type Message,
  type Range,
  range,
  rangeOf,
  rangesOf,
  readKeys,
  revisionOf,
  unchanged,
} from './messages.ts';
import {
  corrupt,
  decodeHead,
  decodeRecord,
  type Keys,
  NO_STATE,
  type Pieces,
  type State,
  sortRecords,
} from './records.ts';
import { isCompacted } from './trouble.ts';

/** What is read, and from where. */
type Reading = {
  readonly client: EtcdClient;
  readonly keys: Keys;
  /** What a store has read before. */
  readonly known: State;
  readonly signal: AbortSignal | undefined;
};

/**
 * The current state, with all records below `prefixes` and those that `known` has; `known`, with a later revision of etcd, if
 * it has them and has not changed.
 */
export async function readState(reading: Reading, prefixes: readonly string[]): Promise<State> {
  const { client, keys, known, signal } = reading;
  const parts = partsOf(known, prefixes);
  const missing = parts.filter((part) => !known.prefixes.includes(part));
  for (;;) {
    const answer = await client.call('kv/txn', question(reading, parts, missing), { signal });
    const etcdRevision = revisionOf(answer);
    const read = (first: readonly Message[], below: readonly string[]) =>
      readRecords(reading, first, below, etcdRevision);
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
function question({ keys, known }: Reading, parts: readonly string[], missing: readonly string[]): Message {
  // Nothing is known yet: a revision that never exists makes etcd return everything.
  const head = known === NO_STATE ? '-1' : known.headRevision;
  const page = (range: Range, limit: number): Message => ({ request_range: { ...rangeOf(...range), limit } });
  const below = (part: string): Message => page(keys.below(part), PAGE);
  const ahead = page(keys.records, known === NO_STATE && !parts.includes('') ? SMALL : 1);
  return {
    compare: [unchanged(keys.head, head)],
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

/** Records of one range: etcd has to answer all of a request within 2 s. */
const PAGE = 2_000;

/** Records, and the pieces of their values, by key. */
type Found = {
  readonly records: readonly StoreRecord[];
  readonly pieces: ReadonlyMap<string, Pieces>;
};

/** The records below prefixes, from the first answers on, at the same revision. */
async function readRecords(
  reading: Reading,
  first: readonly Message[],
  below: readonly string[],
  etcdRevision: bigint,
): Promise<Found | 'compacted'> {
  const { client, keys, signal } = reading;
  const stored: KeyValue[] = [];
  for (const [index, prefix] of below.entries()) {
    let page = first[index] ?? {};
    stored.push(...readKeys(page));
    while (page.more === true) {
      const next = rangeOf(`${stored.at(-1)?.key}\0`, keys.below(prefix)[1], etcdRevision);
      const result = await client.ask('kv/range', { ...next, limit: PAGE }, { signal });
      if (result.kind === 'refused' && isCompacted(result.refusal)) return 'compacted';
      page = answerOf(result);
      stored.push(...readKeys(page));
    }
  }
  const texts = await readPieces(reading, stored, etcdRevision);
  return texts === 'compacted' ? texts : decodeRecords(keys, stored, texts);
}

/** The values that are in pieces, by the name of the pieces; known values are not read again. */
async function readPieces(
  reading: Reading,
  stored: readonly KeyValue[],
  etcdRevision: bigint,
): Promise<ReadonlyMap<string, string> | 'compacted'> {
  const { client, keys, known, signal } = reading;
  const texts = new Map<string, string>();
  for (const [key, { id }] of known.pieces) {
    const record = findRecord(known.snapshot, key);
    if (record !== undefined) texts.set(id, record.value);
  }
  const missing = stored.flatMap(({ key, value: text }) => {
    const { value } = decodeRecord(key, text);
    return typeof value === 'string' || texts.has(value.id) ? [] : [{ key, pieces: value }];
  });
  for (let start = 0; start < missing.length; start += AT_ONCE) {
    const some = missing.slice(start, start + AT_ONCE);
    const success = some.map(({ pieces }) => range(...keys.pieces(pieces.id), etcdRevision));
    const result = await client.ask('kv/txn', { success }, { signal });
    if (result.kind === 'refused' && isCompacted(result.refusal)) return 'compacted';
    const ranges = rangesOf(answerOf(result));
    for (const [index, { key, pieces }] of some.entries()) {
      texts.set(pieces.id, joinPieces(key, pieces, ranges[index] ?? {}));
    }
  }
  return texts;
}

/** Values of one request: etcd accepts 128 operations in a transaction. */
const AT_ONCE = 64;

function joinPieces(key: string, { count }: Pieces, answer: Message): string {
  const { kvs = [] } = answer as { kvs?: { value?: string }[] };
  if (kvs.length !== count) throw corrupt(key, `${kvs.length} of ${count} pieces of its value are there`);
  // Joined as bytes: a piece may end within a character.
  return Buffer.concat(kvs.map(({ value = '' }) => Buffer.from(value, 'base64'))).toString('utf8');
}

function decodeRecords(keys: Keys, stored: readonly KeyValue[], texts: ReadonlyMap<string, string>): Found {
  const pieces = new Map<string, Pieces>();
  const records = stored.map(({ key: storedKey, value: text }) => {
    const { revision, value } = decodeRecord(storedKey, text);
    const key = storedKey.slice(keys.records[0].length);
    if (typeof value === 'string') return { key, value, revision };
    pieces.set(key, value);
    return { key, value: texts.get(value.id) ?? '', revision };
  });
  return { records, pieces };
}
