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
    leader: `${prefix}/leader`,
  };
}
