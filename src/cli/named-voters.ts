import { FleetError } from '../base/errors.ts';
import { isSameAddress } from '../config/address.ts';
import type { ProposedMachine } from '../machine/machine.ts';
import type { VoterPlace } from '../systemd/voter-places.ts';

/** The machines of fleet.conf at the addresses of the voters that machines name. */
export function proposedVoters(
  voters: ReadonlyMap<string, readonly VoterPlace[]>,
  proposed: readonly ProposedMachine[],
): readonly string[] {
  const places = [...voters.values()].flat();
  const isNamed = ({ address }: ProposedMachine): boolean =>
    places.some((place) => isSameAddress(place.address, address));
  return proposed.filter(isNamed).map(({ name }) => name);
}

/**
 * For machines of a fleet.conf that have no registry. Throws FleetError `registry-no-majority` if one of them names voters that
 * fleet.conf lacks, because these may have the registry of its cluster. `voters` are those that each machine names.
 */
export function refuseOtherVoters(
  voters: ReadonlyMap<string, readonly VoterPlace[]>,
  proposed: readonly ProposedMachine[],
): void {
  const isProposed = ({ address }: VoterPlace): boolean =>
    proposed.some((machine) => isSameAddress(machine.address, address));
  const naming = [...voters].flatMap(([machine, places]) => (places.every(isProposed) ? [] : [machine]));
  const all = naming.flatMap((machine) => voters.get(machine) ?? []).filter((place) => !isProposed(place));
  const others = new Map(all.map((place) => [place.address, place]));
  const [first] = others.keys();
  if (first === undefined) return;
  const places = [...others.values()].map(({ name, address }) => `${name} (${address})`).join(', ');
  const machines = naming.join(', ');
  throw new FleetError(
    'registry-no-majority',
    `Cannot find the registry: no machine of fleet.conf has it, but these name voters that fleet.conf lacks: ${machines}. The voters: ${places}`,
    {
      hint: `To use their registry, write a new fleet.conf with "fleetctl join --config FILE USER@${first}", or add these voters to this one. If they are lost permanently, run "rm /var/lib/fleet/voters" as root on ${machines}, then fleetctl recover`,
    },
  );
}
