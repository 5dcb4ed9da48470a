import { findRecord } from '../snapshot.ts';
import type { StoreRecord } from '../store.ts';
import { type CallResult, type EtcdClient, type Message, toBase64 } from './client.ts';
import {
  corrupt,
  decodeRecord,
  type Keys,
  type KeyValue,
  type Pieces,
  readKeys,
  type State,
} from './records.ts';
import { isCompacted, refused } from './trouble.ts';

export type ReadOptions = { readonly signal?: AbortSignal };

/** Records of one range: etcd has to answer all of a request within 2 s. */
export const PAGE = 2_000;

/** Records, and the pieces of their values, by key. */
export type Found = {
  readonly records: readonly StoreRecord[];
  readonly pieces: ReadonlyMap<string, Pieces>;
};

/** The records below prefixes, from the first answers on, at the same revision. */
export async function readRecords(
  client: EtcdClient,
  keys: Keys,
  first: readonly Message[],
  below: readonly string[],
  known: State,
  etcdRevision: bigint,
  options: ReadOptions,
): Promise<Found | 'compacted'> {
  const stored: KeyValue[] = [];
  for (const [index, prefix] of below.entries()) {
    let page = first[index] ?? {};
    stored.push(...readKeys(page));
    while (page.more === true) {
      const next = rangeOf(`${stored.at(-1)?.key}\0`, keys.below(prefix)[1], etcdRevision);
      const result = await client.ask('kv/range', { ...next, limit: PAGE }, options);
      if (result.kind === 'refused' && isCompacted(result.refusal)) return 'compacted';
      page = messageOf(result);
      stored.push(...readKeys(page));
    }
  }
  const texts = await readPieces(client, keys, stored, known, etcdRevision, options);
  return texts === 'compacted' ? texts : decodeRecords(keys, stored, texts);
}

/** The values that are in pieces, by the name of the pieces; known values are not read again. */
async function readPieces(
  client: EtcdClient,
  keys: Keys,
  stored: readonly KeyValue[],
  known: State,
  etcdRevision: bigint,
  options: ReadOptions,
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

function messageOf(result: CallResult): Message {
  if (result.kind === 'answer') return result.message;
  throw result.kind === 'refused' ? refused(result.refusal) : result.error;
}

export function range(begin: string, end?: Uint8Array, revision?: bigint): Message {
  return { request_range: rangeOf(begin, end, revision) };
}

export function rangeOf(begin: string, end?: Uint8Array, revision = 0n): Message {
  const keys = { key: toBase64(begin), ...(end !== undefined && { range_end: toBase64(end) }) };
  return { ...keys, revision: `${revision}` };
}

/** The revision of etcd at which an answer was given. */
export function revisionOf({ header }: Message): bigint {
  return BigInt((header as { revision?: string } | undefined)?.revision ?? '0');
}

export function rangesOf({ responses }: Message): readonly Message[] {
  const all = (responses ?? []) as readonly { response_range?: Message }[];
  return all.map(({ response_range }) => response_range ?? {});
}
