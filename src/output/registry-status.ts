import type { VoterStatus } from '../quorum/status.ts';
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

/** Why voters are unreachable, and which machines have changes that a recovery did not find. */
export function voterWarnings({ voters }: RegistryStatus): readonly string[] {
  return voters.flatMap(({ error, state, machine, revision }) => {
    if (state === 'former')
      return [
        `Warning: Machine "${machine}" has the registry from before the recovery, at revision ${revision}: changes that only it has are not in this one`,
      ];
    return error === undefined ? [] : [`Warning: ${error.message}`];
  });
}
