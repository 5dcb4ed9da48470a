import type { Machine, ProposedMachine } from '../machine/machine.ts';
import { type Edit, type KnownMachine, UNKNOWN_MACHINE } from './edit.ts';
import { effective, type Inventory, type InventoryDifference, inventoryDifferences } from './inventory.ts';
import { type Registry, withReader, withWholeViews } from './registry.ts';
import type { RegistryView } from './view.ts';

/**
 * The registry; the first view of all of it is compared with `proposed`, and `report` gets the differences. A command that
 * reads only a part of the registry needs no machine.
 */
export function reportingDifferences(
  registry: Registry,
  proposed: readonly ProposedMachine[],
  report: (difference: InventoryDifference) => void,
): Registry {
  let isCompared: boolean = false;
  return withReader(registry, (view) => {
    if (isCompared) return;
    for (const difference of inventoryDifferences(view, proposed)) report(difference);
    isCompared = true;
  });
}

/** The registry, where each change also adds the machines that only `proposed` has. */
export function addingMachines(registry: Registry, proposed: readonly ProposedMachine[]): Registry {
  return withWholeViews({
    ...registry,
    change: (decide, use, author) => {
      const completed = (view: RegistryView): readonly Edit[] => {
        const edits = decide(view);
        return edits.length === 0 ? edits : withMachines(edits, view, proposed);
      };
      return registry.change(completed, use, author);
    },
  });
}

/** The edits, which also store the machines that only `proposed` has. */
function withMachines(
  edits: readonly Edit[],
  inventory: Inventory,
  proposed: readonly ProposedMachine[],
): readonly Edit[] {
  const news = new Map(
    proposed.flatMap((machine) => {
      const isKnown = inventory.machines.get(machine.name)?.address !== undefined;
      const added = isKnown ? undefined : effective(inventory, machine);
      return added === undefined ? [] : [[added.name, added]];
    }),
  );
  for (const edit of edits) if (edit.kind === 'delete-machine') news.delete(edit.name);
  const completed = edits.map((edit): Edit => {
    const added = edit.kind === 'put-machine' ? news.get(edit.name) : undefined;
    if (edit.kind !== 'put-machine' || added === undefined) return edit;
    return { ...edit, known: withPlace(edit.known, added) };
  });
  const stored = new Set(edits.flatMap((edit) => (edit.kind === 'put-machine' ? edit.name : [])));
  const rest = [...news.values()].flatMap((added): readonly Edit[] => {
    if (stored.has(added.name)) return [];
    const known = inventory.machines.get(added.name) ?? UNKNOWN_MACHINE;
    return [{ kind: 'put-machine', name: added.name, known: withPlace(known, added) }];
  });
  return [...rest, ...completed];
}

/** An address that the edit has itself takes precedence. */
function withPlace(known: KnownMachine, { address, metadata }: Machine): KnownMachine {
  return known.address === undefined ? { ...known, address, metadata } : known;
}
