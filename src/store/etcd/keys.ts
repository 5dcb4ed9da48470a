import { endOf } from './client.ts';

/** The keys of etcd that belong to one cluster. */
export type Keys = {
  readonly head: string;
  readonly record: (key: string) => string;
  /** Where the records begin and end. */
  readonly records: readonly [string, string];
  readonly piece: (id: string, index: number) => string;
  /** Where the pieces of one value begin and end. */
  readonly pieces: (id: string) => readonly [string, string];
  /** Where all pieces begin and end. */
  readonly allPieces: readonly [string, string];
  /** There while a registry that takes more than one request is being stored; its head comes last. */
  readonly filling: string;
  readonly leader: string;
};

export function keysOf(prefix: string): Keys {
  const records = `${prefix}/records/`;
  return {
    head: `${prefix}/revision`,
    record: (key) => `${records}${key}`,
    records: [records, endOf(records)],
    // Of one width, so that they are in order.
    piece: (id, index) => `${prefix}/pieces/${id}/${`${index}`.padStart(6, '0')}`,
    pieces: (id) => [`${prefix}/pieces/${id}/`, endOf(`${prefix}/pieces/${id}/`)],
    allPieces: [`${prefix}/pieces/`, endOf(`${prefix}/pieces/`)],
    filling: `${prefix}/filling`,
    leader: `${prefix}/leader`,
  };
}

/** The heads of registries whose records or pieces the keys below `prefix` would be. */
export function outerHeads(prefix: string): readonly string[] {
  return [...prefix.matchAll(/\/(?:records|pieces)(?=\/|$)/g)].map(
    ({ index }) => `${prefix.slice(0, index)}/revision`,
  );
}
