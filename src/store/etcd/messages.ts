/** A message of the v3 API as the JSON gateway writes it: bytes in base64, 64-bit numbers as text, no zeros. */
export type Message = { readonly [field: string]: unknown };

/** The text as the gateway takes bytes. */
export function toBase64(text: string | Uint8Array): string {
  return Buffer.from(text as string).toString('base64');
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8');
}

/** The first key, and the one after the last. */
export type Range = readonly [string, Uint8Array];

/** All keys that start with `prefix`: no byte of UTF-8 is the highest. */
export function rangeBelow(prefix: string): Range {
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return [prefix, end];
}

/** A request for the keys of a range, or for one key, at a revision of etcd. */
export function rangeOf(begin: string, end?: Uint8Array, revision = 0n): Message {
  const keys = { key: toBase64(begin), ...(end !== undefined && { range_end: toBase64(end) }) };
  return { ...keys, revision: `${revision}` };
}

/** The same as an operation of a transaction. */
export function range(begin: string, end?: Uint8Array, revision?: bigint): Message {
  return { request_range: rangeOf(begin, end, revision) };
}

/** The condition that a key was last changed at a revision of etcd; 0 for a key that does not exist. */
export function unchanged(key: string, revision: string): Message {
  return { key: toBase64(key), target: 'MOD', result: 'EQUAL', mod_revision: revision };
}

/** A condition that never holds: etcd checks the rights to all that a transaction could do nevertheless. */
export function never(key: string): Message {
  return { key: toBase64(key), target: 'CREATE', result: 'LESS', create_revision: '0' };
}

/** The revision of etcd at which an answer was given. */
export function revisionOf({ header }: Message): bigint {
  return BigInt((header as { revision?: string } | undefined)?.revision ?? '0');
}

/** The ranges of the answer to a transaction. */
export function rangesOf({ responses }: Message): readonly Message[] {
  const all = (responses ?? []) as readonly { response_range?: Message }[];
  return all.map(({ response_range }) => response_range ?? {});
}

/** A key of etcd with its value, as text. */
export type KeyValue = { readonly key: string; readonly value: string; readonly modRevision: string };

/** The keys that one range of an answer holds. */
export function readKeys(range: Message): readonly KeyValue[] {
  const { kvs = [] } = range as { kvs?: { key: string; value?: string; mod_revision: string }[] };
  return kvs.map(({ key, value = '', mod_revision }) => ({
    key: fromBase64(key),
    value: fromBase64(value),
    modRevision: mod_revision,
  }));
}
