import { isSameAddress } from '../config/address.ts';
import { formatMetadata, type Machine, type Metadata, type ProposedMachine } from '../machine/machine.ts';
import type { VoterCandidate } from '../quorum/choose.ts';
import type { KnownMachine, RemovedMachine } from './edit.ts';

/** The machines in a registry, and those that commands have removed from it, by name. */
export type Inventory = {
  readonly machines: ReadonlyMap<string, KnownMachine>;
  readonly removed?: ReadonlyMap<string, RemovedMachine>;
};

/** A difference between a fleet.conf and the registry, which decides. */
export type InventoryDifference =
  | {
      readonly kind: 'changed';
      readonly name: string;
      readonly address: Values<string> | undefined;
      readonly metadata: Values<Metadata> | undefined;
    }
  /** A command has removed or renamed the machine. */
  | { readonly kind: 'removed'; readonly name: string; readonly removed: RemovedMachine }
  /** The machine `holder` has the same address. */
  | { readonly kind: 'taken'; readonly name: string; readonly address: string; readonly holder: string };

type Values<T> = { readonly registry: T; readonly proposed: T };

/**
 * The machines of a cluster: those of the registry, as it describes them, and those that only `proposed` has, unless a
 * command has removed them or another machine has their address. A machine without address in the registry, as version
 * 0.1.0 stored it, is as proposed. In the order of `proposed`, then by name.
 */
export function clusterMachines(
  inventory: Inventory,
  proposed: readonly ProposedMachine[],
): readonly Machine[] {
  const names = new Set(proposed.map(({ name }) => name));
  const others = [...inventory.machines].flatMap(([name, { address, metadata = {} }]) =>
    address === undefined || names.has(name) ? [] : [{ name, address, metadata }],
  );
  return [...proposed.flatMap((machine) => effective(inventory, machine) ?? []), ...others];
}

/** The present name of a machine that may have been renamed; a voter keeps the name with which it became one. */
export function currentName(name: string, { machines, removed }: Inventory): string {
  return machines.has(name) ? name : (removed?.get(name)?.renamedTo ?? name);
}

/** Whether a machine may be a voter of the registry. A distrusted or removed one is excluded. */
export function conditionOf(
  name: string,
  { machines, removed }: Required<Inventory>,
): Exclude<VoterCandidate['condition'], 'lost'> {
  const current = currentName(name, { machines, removed });
  const { distrusted, cordon } = machines.get(current) ?? {};
  if (distrusted === true || removed.has(current)) return 'excluded';
  return cordon === undefined ? 'good' : 'drained';
}

/** The machines that have these names, or had them. */
export function machinesNamed(
  names: readonly string[],
  inventory: Inventory,
  proposed: readonly ProposedMachine[],
): readonly Machine[] {
  const machines = clusterMachines(inventory, proposed);
  return names.flatMap((name) => machines.find((each) => each.name === currentName(name, inventory)) ?? []);
}

/** The machines before the registry is known. */
export function asProposed(proposed: readonly ProposedMachine[]): readonly Machine[] {
  return clusterMachines({ machines: new Map() }, proposed);
}

/** The machine that is used for a proposed one; undefined if none is. */
export function effective(inventory: Inventory, proposed: ProposedMachine): Machine | undefined {
  const known = inventory.machines.get(proposed.name);
  if (known?.address !== undefined) {
    const { address, metadata = {} } = known;
    return { name: proposed.name, address, metadata };
  }
  if (objection(inventory, proposed) !== undefined) return undefined;
  return { ...proposed, metadata: proposed.metadata ?? {} };
}

/** Why a machine without an address in the registry is not used as proposed. */
function objection(
  inventory: Inventory,
  { name, address }: ProposedMachine,
): InventoryDifference | undefined {
  const { machines, removed: removals } = inventory;
  const removed = removals?.get(name);
  if (removed !== undefined) return { kind: 'removed', name, removed };
  const holder = [...machines].find(
    ([, known]) => known.address !== undefined && isSameAddress(known.address, address),
  )?.[0];
  return holder === undefined ? undefined : { kind: 'taken', name, address, holder };
}

/** The differences between `proposed` and the registry. A key that a section does not have is no difference. */
export function inventoryDifferences(
  inventory: Inventory,
  proposed: readonly ProposedMachine[],
): readonly InventoryDifference[] {
  return proposed.flatMap((machine): readonly InventoryDifference[] => {
    const { name, address, metadata } = machine;
    const known = inventory.machines.get(name);
    if (known?.address === undefined) return [objection(inventory, machine) ?? []].flat();
    const { metadata: before = {} } = known;
    const otherAddress = !isSameAddress(known.address, address);
    const otherMetadata = metadata !== undefined && formatMetadata(before) !== formatMetadata(metadata);
    if (!otherAddress && !otherMetadata) return [];
    return [
      {
        kind: 'changed',
        name,
        address: otherAddress ? { registry: known.address, proposed: address } : undefined,
        metadata: otherMetadata ? { registry: before, proposed: metadata } : undefined,
      },
    ];
  });
}
