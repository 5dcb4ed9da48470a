import { type Message, toBase64 } from './client.ts';

/** One operation of a transaction, with about how many bytes it adds to a request. */
export type Operation = { readonly message: Message; readonly bytes: number };

/**
 * How many bytes may go into one request: etcd takes 1.5 MiB (--max-request-bytes), and counts a little more than
 * is counted here.
 */
export const REQUEST_BYTES = 1_048_576;

/**
 * So many operations side by side. etcd allows 128 (--max-txn-ops) along each way into nested transactions, so three
 * levels of 40 hold 64,000, which is more than fit into a request.
 */
const WIDTH = 40;

export function put(key: string, value: Buffer | string, lease = '0'): Operation {
  const message = { request_put: { key: toBase64(key), value: toBase64(value), lease } };
  return { message, bytes: Buffer.byteLength(key) + Buffer.byteLength(value) + OVERHEAD };
}

/** Takes a key out of its lease, so that it stays. The transaction fails when the key is gone. */
export function keep(key: string): Operation {
  return {
    message: { request_put: { key: toBase64(key), ignore_value: true } },
    bytes: Buffer.byteLength(key) + OVERHEAD,
  };
}

export function remove(key: string, end?: string): Operation {
  const range = { key: toBase64(key), ...(end !== undefined && { range_end: toBase64(end) }) };
  return {
    message: { request_delete_range: range },
    bytes: 2 * Buffer.byteLength(key) + OVERHEAD,
  };
}

export function sizeOf(operations: readonly Operation[]): number {
  return operations.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The operations as what a transaction does, nested where they are many: it is one transaction all the same. */
export function nest(operations: readonly Operation[]): readonly Message[] {
  let level: Message[] = operations.map(({ message }) => message);
  while (level.length > WIDTH) level = chunks(level).map((success) => ({ request_txn: { success } }));
  return level;
}

/** Groups of up to so many bytes, which fit into one request each. An operation is taken to fit by itself. */
export function batches(
  operations: readonly Operation[],
  most = REQUEST_BYTES,
): readonly (readonly Operation[])[] {
  const groups: Operation[][] = [];
  let bytes = most;
  for (const operation of operations) {
    bytes += operation.bytes;
    if (bytes > most) {
      groups.push([]);
      bytes = operation.bytes;
    }
    groups.at(-1)?.push(operation);
  }
  return groups;
}

/** What a request holds beside key and value. */
const OVERHEAD = 48;

function chunks(level: readonly Message[]): readonly (readonly Message[])[] {
  const count = Math.ceil(level.length / WIDTH);
  return Array.from({ length: count }, (_, i) => level.slice(i * WIDTH, (i + 1) * WIDTH));
}
