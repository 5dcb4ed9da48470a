import { findRecord } from '../snapshot.ts';
import { type CallResult, type EtcdClient, type Message, toBase64 } from './client.ts';
import {
  corrupt,
  decodeHead,
  decodeRecord,
  type Keys,
  type KeyValue,
  NO_STATE,
  type Pieces,
  readKeys,
  type State,
  sortRecords,
} from './records.ts';
import { isCompacted, refused } from './trouble.ts';

/** The current state; `known`, with a later revision of etcd, if it has not changed. */
export async function readState(
  client: EtcdClient,
  keys: Keys,
  known: State,
  signal?: AbortSignal,
): Promise<State> {
  const options = signal === undefined ? {} : { signal };
  for (;;) {
    // Nothing is known yet: a revision that never exists makes etcd return everything.
    const head = known === NO_STATE ? '-1' : known.headRevision;
    const answer = await client.call('kv/txn', question(keys, head), options);
    const etcdRevision = revisionOf(answer);
    if (answer.succeeded === true) return { ...known, etcdRevision };
    const [headRange = {}, fillingRange = {}, recordRange = {}] = rangesOf(answer);
    const [head0] = readKeys(headRange);
    const [filling] = readKeys(fillingRange);
    // A registry without its head does not exist yet, even if there are other keys.
    if (head0 === undefined && filling !== undefined)
      return { ...NO_STATE, filling: filling.modRevision, etcdRevision };
    const stored = await readAll(client, keys, recordRange, etcdRevision, options);
    if (stored === 'compacted') continue;
    const texts = await readPieces(client, keys, stored, known, etcdRevision, options);
    if (texts !== 'compacted') return stateFrom(keys, head0, stored, texts, etcdRevision);
  }
}

/** Records of one request: etcd has to answer all of it within 2 s. */
const PAGE = 2_000;

/** The records of a first answer, and the following ones at the same revision. */
async function readAll(
  client: EtcdClient,
  keys: Keys,
  first: Message,
  etcdRevision: bigint,
  options: { readonly signal?: AbortSignal },
): Promise<readonly KeyValue[] | 'compacted'> {
  const stored = [...readKeys(first)];
  let { more } = first;
  while (more === true) {
    const next = `${stored.at(-1)?.key}\0`;
    const message = { ...rangeOf(next, keys.records[1], etcdRevision), limit: PAGE };
    const result = await client.ask('kv/range', message, options);
    if (result.kind === 'refused' && isCompacted(result.refusal)) return 'compacted';
    const page = messageOf(result);
    stored.push(...readKeys(page));
    ({ more } = page);
  }
  return stored;
}

function question(keys: Keys, headRevision: string): Message {
  const compare = [{ key: toBase64(keys.head), target: 'MOD', result: 'EQUAL', mod_revision: headRevision }];
  const records = { request_range: { ...rangeOf(...keys.records), limit: PAGE } };
  return { compare, failure: [range(keys.head), range(keys.filling), records] };
}

function range(begin: string, end?: string, revision?: bigint): Message {
  return { request_range: rangeOf(begin, end, revision) };
}

function rangeOf(begin: string, end?: string, revision = 0n): Message {
  const keys = { key: toBase64(begin), ...(end !== undefined && { range_end: toBase64(end) }) };
  return { ...keys, revision: `${revision}` };
}

/** The values that are in pieces, by the name of the pieces; known values are not read again. */
async function readPieces(
  client: EtcdClient,
  keys: Keys,
  stored: readonly KeyValue[],
  known: State,
  etcdRevision: bigint,
  options: { readonly signal?: AbortSignal },
): Promise<ReadonlyMap<string, string> | 'compacted'> {
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
    const result = await client.ask('kv/txn', { success }, options);
    if (result.kind === 'refused' && isCompacted(result.refusal)) return 'compacted';
    const ranges = rangesOf(messageOf(result));
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

function messageOf(result: CallResult): Message {
  if (result.kind === 'answer') return result.message;
  throw result.kind === 'refused' ? refused(result.refusal) : result.error;
}

function stateFrom(
  keys: Keys,
  head: KeyValue | undefined,
  stored: readonly KeyValue[],
  texts: ReadonlyMap<string, string>,
  etcdRevision: bigint,
): State {
  if (head === undefined) {
    if (stored[0] !== undefined) throw corrupt(stored[0].key, `there is no "${keys.head}" beside it`);
    return { ...NO_STATE, etcdRevision };
  }
  const { revision, commits } = decodeHead(head.key, head.value);
  const pieces = new Map<string, Pieces>();
  const records = stored.map(({ key: storedKey, value: text }) => {
    const record = decodeRecord(storedKey, text);
    if (record.revision > revision)
      throw corrupt(storedKey, `it is of revision ${record.revision}, beyond ${revision}`);
    const key = storedKey.slice(keys.records[0].length);
    if (typeof record.value === 'string') return { key, value: record.value, revision: record.revision };
    pieces.set(key, record.value);
    return { key, value: texts.get(record.value.id) ?? '', revision: record.revision };
  });
  const snapshot = { revision, records: sortRecords(records) };
  return { snapshot, headRevision: head.modRevision, filling: '0', etcdRevision, commits, pieces };
}

/** The revision of etcd at which an answer was given. */
export function revisionOf({ header }: Message): bigint {
  return BigInt((header as { revision?: string } | undefined)?.revision ?? '0');
}

function rangesOf({ responses }: Message): readonly Message[] {
  const all = (responses ?? []) as readonly { response_range?: Message }[];
  return all.map(({ response_range }) => response_range ?? {});
}
