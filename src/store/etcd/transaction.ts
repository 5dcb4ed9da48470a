import { randomUUID } from 'node:crypto';
import { type Message, toBase64 } from './messages.ts';
import type { Keys, Pieces } from './records.ts';

/** One operation of a transaction, with the approximate number of bytes that it adds to a request. */
export type Operation = { readonly message: Message; readonly bytes: number };

/**
 * How many bytes may go into one request: etcd takes 1.5 MiB (--max-request-bytes), and counts a little more than
 * is counted here.
 */
export const REQUEST_BYTES = 1_048_576;

/**
 * Operations of one level. etcd allows 128 (--max-txn-ops) along each way into nested transactions, so three
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

export function remove(key: string, end?: Uint8Array): Operation {
  const range = { key: toBase64(key), ...(end !== undefined && { range_end: toBase64(end) }) };
  return {
    message: { request_delete_range: range },
    bytes: 2 * Buffer.byteLength(key) + OVERHEAD,
  };
}

export function sizeOf(operations: readonly Operation[]): number {
  return operations.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The operations of a transaction. Many of them are nested, in the same transaction. */
export function nest(operations: readonly Operation[]): readonly Message[] {
  let level: Message[] = operations.map(({ message }) => message);
  while (level.length > WIDTH) level = chunks(level).map((success) => ({ request_txn: { success } }));
  return level;
}

/** Groups of up to so many bytes, which fit into one request each. A single operation is assumed to fit. */
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

/** The bytes of an operation without its key and value. */
const OVERHEAD = 48;

function chunks(level: readonly Message[]): readonly (readonly Message[])[] {
  const count = Math.ceil(level.length / WIDTH);
  return Array.from({ length: count }, (_, i) => level.slice(i * WIDTH, (i + 1) * WIDTH));
}

/** The bytes of one piece: half a request. */
export const PIECE_BYTES = REQUEST_BYTES / 2;

/** A name for the pieces of a value, and their number. */
export function cut(value: string): Pieces {
  return { id: randomUUID(), count: Math.ceil(Buffer.byteLength(value) / PIECE_BYTES) };
}

/** The operations that store the pieces of a value, with a lease if one is given. */
export function putPieces(
  keys: Keys,
  { id, count }: Pieces,
  value: string,
  lease?: string,
): readonly Operation[] {
  const bytes = Buffer.from(value);
  return Array.from({ length: count }, (_, index) =>
    put(keys.piece(id, index), bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES), lease),
  );
}
