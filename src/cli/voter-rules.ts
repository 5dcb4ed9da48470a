import { FleetError, isFleetError } from '../base/errors.ts';
import { canonicalAddress, isSameAddress } from '../config/address.ts';
import type { ProposedMachine } from '../machine/machine.ts';
import type { QuorumOptions } from '../quorum/options.ts';
import type { AcceptedRounds } from '../quorum/progress.ts';
import { asProposed, clusterMachines, conditionOf } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';
import { RegistryView } from '../registry/view.ts';
import type { Snapshot } from '../store/snapshot.ts';
import type { Change } from '../store/store.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import { type VoterPlace, voterPlacesQuery } from '../systemd/queries.ts';
import { shownBy } from './voter-cache.ts';

/** What a register on the machines asks about the cluster: its machines, and which of them may be voters. */
type VoterRules = Pick<
  QuorumOptions,
  'machinesIn' | 'belongsTo' | 'conditionsIn' | 'confirmAbsence' | 'voters'
>;

/** A registry that is read as a whole. */
export type KnownRegistry = Pick<Registry, 'load'>;

/** The rules of a leader lock, which may begin anywhere. `registry` says which machines may be its voters. */
export function lockRules(registry: KnownRegistry | undefined): VoterRules {
  return {
    belongsTo: () => true,
    async conditionsIn() {
      const view = await registry?.load();
      return (machine) => (view === undefined ? 'good' : conditionOf(machine, view));
    },
  };
}

/** The rules of the registry itself. `accepted` is what voters have shown to this user. */
export function registryRules(
  proposed: readonly ProposedMachine[],
  connect: SystemdDriver['connect'],
  accepted: AcceptedRounds,
): VoterRules {
  const votersOf = async (owned: readonly string[]): Promise<ReadonlyMap<string, readonly VoterPlace[]>> => {
    const asked = asProposed(proposed).filter(({ name }) => owned.includes(name));
    const voters = asked.map(
      async (machine) => [machine.name, await connect(machine).ask(voterPlacesQuery())] as const,
    );
    return new Map(await Promise.all(voters));
  };
  return {
    machinesIn: (snapshot) => machinesIn(snapshot, proposed),
    belongsTo: namesCluster,
    conditionsIn({ revision, records }) {
      const view = new RegistryView(revision, records);
      return (machine) => conditionOf(machine, view);
    },
    confirmAbsence: async (owned) => refuseOtherVoters(await votersOf(owned), proposed),
    async voters(owned) {
      const named = await votersOf(owned).catch((error) => {
        if (isFleetError(error)) return new Map<string, readonly VoterPlace[]>();
        throw error;
      });
      const found = proposedVoters(named, proposed);
      return found.length > 0 ? found : shownBy(accepted);
    },
  };
}

/** The machines of fleet.conf and of a registry, one for each address, because a machine counts once. */
function machinesIn(
  { revision, records }: Snapshot,
  proposed: readonly ProposedMachine[],
): readonly string[] {
  const names = new Map<string, string>();
  for (const { name, address } of clusterMachines(new RegistryView(revision, records), proposed)) {
    const key = canonicalAddress(address);
    if (!names.has(key)) names.set(key, name);
  }
  return [...names.values()];
}

/** Whether changes store the document of that cluster, as `recover` and `registry copy` do. */
function namesCluster(changes: readonly Change[], cluster: string): boolean {
  return changes.some(
    (change) =>
      change.kind === 'put' && change.key === 'cluster' && change.value.includes(JSON.stringify(cluster)),
  );
}

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
  const machines = naming.join(', ');
  throw new FleetError(
    'registry-no-majority',
    `Cannot find the registry: no machine of fleet.conf has it, but these name voters that fleet.conf lacks: ${machines}. The voters: ${placesText([...others.values()])}`,
    {
      hint: `To use their registry, write a new fleet.conf with "fleetctl join --config FILE USER@${first}", or add these voters to this one. If they are lost permanently, run "rm /var/lib/fleet/voters" as root on ${machines}, then fleetctl recover`,
    },
  );
}

/** Voters with their addresses, for messages. */
export function placesText(voters: readonly VoterPlace[]): string {
  return voters.map(({ name, address }) => `${name} (${address})`).join(', ');
}
