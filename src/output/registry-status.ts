import type { VoterStatus } from '../quorum/electorate.ts';
import { rowsJson } from './field.ts';
import { VOTERS } from './listings.ts';

/** The location of a registry as in fleet.conf, its revision, and its voters if it is on the machines. */
export type RegistryStatus = {
  readonly place: string;
  readonly revision: number;
  readonly voters: readonly VoterStatus[];
};

export function registryLine({ place, revision }: RegistryStatus): string {
  return revision === 0 ? `Registry ${place}: empty` : `Registry ${place}: revision ${revision}`;
}

export function registryJson({ place, revision, voters }: RegistryStatus): object {
  return { registry: place, revision, voters: rowsJson(VOTERS.fields, voters) };
}

/** Why voters are unreachable. */
export function voterWarnings({ voters }: RegistryStatus): readonly string[] {
  return voters.flatMap(({ error }) => (error === undefined ? [] : [`Warning: ${error.message}`]));
}
