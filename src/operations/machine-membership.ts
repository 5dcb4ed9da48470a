import { FleetError } from '../base/errors.ts';
import type { Observation } from '../cluster/snapshot.ts';
import { isSameAddress } from '../config/address.ts';
import { formatMachineId, type Machine, type MachineId } from '../machine/machine.ts';
import { highestToken, revisionAt } from '../reconcile/outdated.ts';
import type { Ports } from '../reconcile/ports.ts';
import { UNKNOWN_MACHINE } from '../registry/edit.ts';
import { asProposed, clusterMachines } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { observeQuery } from '../systemd/observation.ts';
import { machineNamed } from './find-machine.ts';

/** The new data of the registry about a machine; `before` is its old id for that name, if it differs. */
export type Accepted = {
  readonly id: MachineId;
  readonly before: MachineId | undefined;
  /** Names that are not in fleet.conf and had this id: the machine was renamed. */
  readonly renamedFrom: readonly string[];
  readonly isNews: boolean;
};

/**
 * Stores the id that machine `name` answers with, and clears the objections against it. Units that are assigned to an id
 * without a machine move with the next pass. Throws FleetError `machine-not-found`, the error of a machine that does not
 * answer, `usage` if another machine of fleet.conf has the id, and `registry-outdated` if the machine is ahead of the
 * registry.
 */
export async function acceptMachine(ports: Ports, name: string): Promise<Accepted> {
  const { driver, registry } = ports;
  const machine = await machineToAccept(ports, name);
  const session = driver.connect(machine);
  const observation = await session
    .ask(observeQuery({ names: [], digests: false, token: true }))
    .finally(() => session.close());
  const { id } = observation;
  let accepted: Accepted | undefined;
  await registry.update((view) => {
    refuseEmpty(view);
    const holders = [...view.machines].flatMap(([other, known]) =>
      other !== name && known.id === id ? [other] : [],
    );
    const holder = holders.find((other) => !mayBeRenamed(ports, view, other, machine));
    if (holder !== undefined) throw taken(name, holder, id);
    refuseAhead(view, name, observation);
    const known = view.machines.get(name) ?? UNKNOWN_MACHINE;
    const isNews = known.id !== id || known.ahead !== undefined || known.distrusted === true;
    const before = known.id === id ? undefined : known.id;
    accepted = { id, before, renamedFrom: holders, isNews: isNews || holders.length > 0 };
    if (!accepted.isNews) return [];
    // A new name keeps what the registry has about the old one.
    const all = [known, ...holders.flatMap((other) => view.machines.get(other) ?? [])];
    const cordon = all.find((each) => each.cordon)?.cordon;
    const { address, metadata } = all.find((each) => each.address !== undefined) ?? known;
    return [
      ...holders.map((other) => ({ kind: 'delete-machine', name: other, renamedTo: name }) as const),
      { kind: 'put-machine', name, known: { ...UNKNOWN_MACHINE, address, metadata, id, cordon } },
    ];
  });
  if (accepted === undefined) throw new Error('the registry has not called the update');
  return accepted;
}

/**
 * Excludes a machine until it is accepted again: it counts as unusable, with any answer. Resolves with the units that stay
 * assigned to it. Throws FleetError `machine-not-found`.
 */
export async function distrustMachine(
  { machines, registry }: Pick<Ports, 'machines' | 'registry'>,
  name: string,
): Promise<readonly string[]> {
  const view = await registry.update((current) => {
    machineNamed(name, clusterMachines(current, machines));
    refuseEmpty(current);
    const known = current.machines.get(name) ?? UNKNOWN_MACHINE;
    return known.distrusted ? [] : [{ kind: 'put-machine', name, known: { ...known, distrusted: true } }];
  });
  return assignedTo(name, view);
}

/** Whether `other` can be the old name of `machine`: no fleet.conf that is known here has both, and its address is the same. */
function mayBeRenamed({ machines }: Ports, view: RegistryView, other: string, machine: Machine): boolean {
  const address = view.machines.get(other)?.address;
  if (machines.some(({ name }) => name === other)) return false;
  return address === undefined || isSameAddress(address, machine.address);
}

/** Also a machine of fleet.conf that has the address of another one, because it may be that one with a new name. */
async function machineToAccept({ machines, registry }: Ports, name: string): Promise<Machine> {
  return machineNamed(name, [...clusterMachines(await registry.load(), machines), ...asProposed(machines)]);
}

/** Throws FleetError `usage` for an empty registry, which stays empty: it may be a lost one that will be recovered. */
function refuseEmpty({ clusterId }: RegistryView): void {
  if (clusterId !== undefined) return;
  throw new FleetError('usage', 'The registry is empty, so no machine can be accepted or excluded', {
    hint: 'If it was lost: fleetctl recover; to exclude a machine, remove it from fleet.conf',
  });
}

function refuseAhead(view: RegistryView, name: string, observation: Observation): void {
  const seen = highestToken(observation);
  if (observation.cluster !== view.clusterId || seen <= view.token) return;
  throw new FleetError(
    'registry-outdated',
    `Cannot accept machine "${name}": it has seen revision ${revisionAt(view, seen)}, and the registry is at revision ${view.revision}`,
    {
      hint: `If the registry is an old backup, restore a newer one; if the machine is wrong, empty /var/lib/fleet/units and /var/lib/fleet/removed there`,
    },
  );
}

function taken(name: string, holder: string, id: MachineId): FleetError {
  return new FleetError(
    'usage',
    `Cannot accept machine "${name}": its id ${formatMachineId(id)} is that of machine "${holder}"`,
    {
      hint: `If it is a copy, run "rm /etc/machine-id && systemd-machine-id-setup" on it and restart it; if machine "${holder}" has left the cluster: fleetctl machines remove ${holder}; if it is now named "${name}": fleetctl machines rename ${holder} ${name}`,
    },
  );
}

/**
 * Removes a machine from the registry. Its name can be used for another machine, and units that are still assigned to it
 * move to other machines with the next pass. Resolves with these units.
 */
export async function forgetMachine(registry: Registry, name: string): Promise<readonly string[]> {
  let units: readonly string[] = [];
  await registry.update((view) => {
    units = assignedTo(name, view);
    return view.machines.has(name) ? [{ kind: 'delete-machine', name }] : [];
  });
  return units;
}

/** The units that are assigned to a machine, by name; an inactive one stays assigned until it is removed. */
export function assignedTo(name: string, { machines, units }: RegistryView): readonly string[] {
  const id = machines.get(name)?.id;
  if (id === undefined) return [];
  return [...units.values()].filter(({ machine }) => machine === id).map((unit) => unit.name);
}

/**
 * The global units that stay on a machine when it is removed from fleet.conf. Throws FleetError `usage` while units are
 * assigned to it, because nothing would manage them any more.
 */
export function leaveMachine(registry: RegistryView, name: string): readonly string[] {
  const assigned = assignedTo(name, registry);
  if (assigned.length > 0) {
    const names = assigned.join(' ');
    throw new FleetError('usage', `Cannot remove machine "${name}": units are assigned to it: ${names}`, {
      hint: `Move them to other machines first: fleetctl machines remove ${name} --drain; or unload them: fleetctl unload ${names}`,
    });
  }
  if (registry.machines.get(name)?.id === undefined) return [];
  return [...registry.units.values()]
    .filter(({ placement, target }) => placement.global && target !== 'inactive')
    .map((unit) => unit.name);
}
