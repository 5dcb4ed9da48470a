import type { Metadata } from './metadata.ts';

/** A machine of the inventory. `name` is its section in fleet.conf, `address` what the IP column shows. */
export type Machine = {
  readonly name: string;
  readonly address: string;
  readonly metadata: Metadata;
};
