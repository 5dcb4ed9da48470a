import type { RegisterStatus, VoterStatus } from '../quorum/status.ts';
import { formerText } from './events.ts';
import { rowsJson } from './field.ts';
import { VOTERS } from './listings.ts';

/** The location of a registry as in fleet.conf, its revision, and its voters if it is on the machines. */
export type RegistryStatus = RegisterStatus & { readonly place: string };

export function registryLine({ place, revision, withoutMajority }: RegistryStatus): string {
  if (withoutMajority !== undefined)
    return `Registry ${place}: without a majority of its voters; the newest revision that was found is ${revision}`;
  return revision === 0 ? `Registry ${place}: empty` : `Registry ${place}: revision ${revision}`;
}

export function registryJson({ place, revision, voters, withoutMajority }: RegistryStatus): object {
  return {
    registry: place,
    revision,
    voters: rowsJson(VOTERS.fields, voters),
    ...(withoutMajority && { withoutMajority: withoutMajority.message }),
  };
}

/** Why voters are unreachable or do not count, and which machines have changes that a recovery did not find. */
export function voterWarnings({ voters, withoutMajority }: RegistryStatus): readonly string[] {
  const lost = voters.some(({ state }) => state === 'lost') && withoutMajority === undefined;
  const advice = lost
    ? ['hint: Voters without their copy get one with the next pass: fleetctl reconcile']
    : [];
  return [...voters.flatMap(warningsAbout), ...advice];
}

function warningsAbout(voter: VoterStatus): readonly string[] {
  const { error, state, isContained } = voter;
  if (state === 'former') return isContained === true ? [] : [`Warning: ${formerText(voter)}`];
  return error === undefined ? [] : [`Warning: ${error.message}`];
}
