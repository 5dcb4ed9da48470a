import { randomUUID } from 'node:crypto';
import type { FleetError } from '../../base/errors.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Change } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Pieces, State } from './records.ts';
import { type Operation, put, REQUEST_BYTES } from './transaction.ts';

/** A commit: what it makes of a state, and the name by which it can be found later. */
export type Commit = {
  readonly before: State;
  readonly after: Snapshot;
  readonly changes: readonly Change[];
  readonly name: string;
};

export type WriteResult =
  | { readonly kind: 'written'; readonly state: State }
  /** Another commit came first; nothing changed. */
  | { readonly kind: 'late' }
  /** It may be written, now or later, unless another commit comes first. */
  | { readonly kind: 'unanswered'; readonly error: FleetError };

/** The bytes of one piece: half a request. */
export const PIECE_BYTES = REQUEST_BYTES / 2;

/** Names for the pieces of a value, and how many there are. */
export function cut(value: string): Pieces {
  return { id: randomUUID(), count: Math.ceil(Buffer.byteLength(value) / PIECE_BYTES) };
}

/** What stores the pieces of a value, under a lease where one is given. */
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
