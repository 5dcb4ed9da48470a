import { FleetError } from '../base/errors.ts';
import { isSameAddress } from '../config/address.ts';
import { formatMetadata, type Machine, type Metadata, type ProposedMachine } from '../machine/machine.ts';
import type { Ports } from '../reconcile/ports.ts';
import { type Edit, type KnownMachine, UNKNOWN_MACHINE } from '../registry/edit.ts';
import { clusterMachines, type InventoryDifference, inventoryDifferences } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import { machineNamed } from './find-machine.ts';

/** What the registry has about a machine for all operators. */
export type MachinePlace = Pick<Machine, 'address' | 'metadata'>;

/** A change of it. The changes of metadata apply one after the other. */
export type PlaceChange = {
  readonly address?: string;
  readonly metadata: readonly MetadataChange[];
};

export type MetadataChange =
  | { readonly kind: 'replace' | 'add'; readonly metadata: Metadata }
  | { readonly kind: 'remove'; readonly keys: readonly string[] };

type InventoryPorts = Pick<Ports, 'machines' | 'registry'>;

/** The place of a machine after the change. */
export function changedPlace({ address, metadata }: MachinePlace, change: PlaceChange): MachinePlace {
  return { address: change.address ?? address, metadata: change.metadata.reduce(changedMetadata, metadata) };
}

function changedMetadata(metadata: Metadata, change: MetadataChange): Metadata {
  if (change.kind === 'remove')
    return Object.fromEntries(Object.entries(metadata).filter(([key]) => !change.keys.includes(key)));
  return change.kind === 'replace' ? change.metadata : { ...metadata, ...change.metadata };
}

/** A machine of the cluster. Throws FleetError `machine-not-found`. */
export function clusterMachine({ machines }: InventoryPorts, view: RegistryView, name: string): Machine {
  return machineNamed(name, clusterMachines(view, machines));
}

/**
 * Adds a machine. An empty registry stays empty, because it may be a lost one; the first change of units adds the machine
 * then. Throws FleetError `usage` if the registry has a machine with that name or address.
 */
export async function addMachine({ registry }: InventoryPorts, machine: Machine): Promise<void> {
  const { name, address, metadata } = machine;
  await registry.update((view) => {
    if (view.clusterId === undefined) return [];
    const known = view.machines.get(name) ?? UNKNOWN_MACHINE;
    if (known.address !== undefined) throw exists(name, known.address);
    refuseTaken(view, name, address);
    return [put(name, { ...known, address, metadata })];
  });
}

/** Changes a machine in the registry. An empty registry stays empty. Throws FleetError `machine-not-found` and `usage`. */
export async function changeMachine(ports: InventoryPorts, name: string, change: PlaceChange): Promise<void> {
  await ports.registry.update((view) => {
    if (view.clusterId === undefined) return [];
    const before = clusterMachine(ports, view, name);
    const after = changedPlace(before, change);
    if (after.address !== before.address) refuseTaken(view, name, after.address);
    const isSame = after.address === before.address && isSameMetadata(after.metadata, before.metadata);
    return isSame ? [] : [put(name, { ...(view.machines.get(name) ?? UNKNOWN_MACHINE), ...after })];
  });
}

/**
 * Gives a machine another name. Units belong to the id of their machine, so nothing changes on it. Throws FleetError
 * `machine-not-found`, and `usage` if there is a machine with the new name.
 */
export async function renameMachine(ports: InventoryPorts, name: string, to: string): Promise<void> {
  await ports.registry.update((view) => {
    const known = view.machines.get(name);
    if (view.machines.has(to)) throw exists(to, view.machines.get(to)?.address);
    if (known === undefined) {
      clusterMachine(ports, view, name);
      return [];
    }
    const place = known.address === undefined ? clusterMachine(ports, view, name) : known;
    const { address, metadata } = place;
    const unconfirmed = [...view.unconfirmed.values()].flatMap((unit): readonly Edit[] =>
      unit.unconfirmed?.machine === name
        ? [{ kind: 'put-unit', unit: { ...unit, unconfirmed: { ...unit.unconfirmed, machine: to } } }]
        : [],
    );
    return [
      { kind: 'delete-machine', name, renamedTo: to },
      put(to, { ...known, address, metadata }),
      ...unconfirmed,
    ];
  });
}

/** What `machines apply` has stored about a machine, or why it has not. */
export type AppliedMachine =
  | { readonly kind: 'added'; readonly name: string; readonly place: MachinePlace }
  | Extract<InventoryDifference, { kind: 'changed' }>
  | { readonly kind: 'kept'; readonly difference: InventoryDifference };

/**
 * Stores the machines of fleet.conf as it describes them: those in `names`, or all. One that a command has removed is added
 * again only by its name. An empty registry stays empty. Throws FleetError `machine-not-found` for a name that fleet.conf
 * does not have, and `usage` for one whose address another machine has.
 */
export async function applyMachines(
  { registry, machines }: InventoryPorts,
  names: readonly string[],
): Promise<readonly AppliedMachine[]> {
  const unknown = names.find((name) => !machines.some((machine) => machine.name === name));
  if (unknown !== undefined)
    throw new FleetError('machine-not-found', `fleet.conf has no machine "${unknown}"`, {
      hint: 'Sections are [machine.NAME]',
    });
  const chosen = machines.filter(({ name }) => names.length === 0 || names.includes(name));
  let applied: readonly AppliedMachine[] = [];
  await registry.update((view) => {
    if (view.clusterId === undefined) return [];
    applied = chosen.flatMap((machine) => applyOne(view, machine, names.length > 0) ?? []);
    return applied.flatMap((each) => appliedEdit(view, each) ?? []);
  });
  return applied;
}

/** Undefined if the registry has the machine as fleet.conf describes it. */
function applyOne(
  view: RegistryView,
  machine: ProposedMachine,
  isNamed: boolean,
): AppliedMachine | undefined {
  const { name, address, metadata = {} } = machine;
  const added: AppliedMachine = { kind: 'added', name, place: { address, metadata } };
  const [difference] = inventoryDifferences(view, [machine]);
  if (difference === undefined) return view.machines.get(name)?.address === undefined ? added : undefined;
  if (difference.kind === 'changed') {
    if (difference.address !== undefined) refuseTaken(view, name, address);
    return difference;
  }
  if (!isNamed) return { kind: 'kept', difference };
  refuseTaken(view, name, address);
  return added;
}

function appliedEdit(view: RegistryView, applied: AppliedMachine): Edit | undefined {
  if (applied.kind === 'kept') return undefined;
  const known = view.machines.get(applied.name) ?? UNKNOWN_MACHINE;
  if (applied.kind === 'added') return put(applied.name, { ...known, ...applied.place });
  const { name, address, metadata } = applied;
  return put(name, {
    ...known,
    address: address?.proposed ?? known.address,
    metadata: metadata?.proposed ?? known.metadata,
  });
}

function put(name: string, known: KnownMachine): Edit {
  return { kind: 'put-machine', name, known };
}

function isSameMetadata(a: Metadata, b: Metadata): boolean {
  return formatMetadata(a) === formatMetadata(b);
}

function exists(name: string, address: string | undefined): FleetError {
  const place = address === undefined ? '' : ` with address ${address}`;
  return new FleetError('usage', `Machine "${name}" exists already${place}`, {
    hint: `Change it with: fleetctl machines set ${name} key=value`,
  });
}

function refuseTaken({ machines }: RegistryView, name: string, address: string): void {
  const holder = [...machines].find(
    ([other, known]) =>
      other !== name && known.address !== undefined && isSameAddress(known.address, address),
  )?.[0];
  if (holder === undefined) return;
  throw new FleetError('usage', `Machine "${holder}" has the address ${address} already`, {
    hint: `To give it another name: fleetctl machines rename ${holder} ${name}`,
  });
}
