import type { ProposedMachine } from '../machine/machine.ts';
import { type InventoryDifference, inventoryDifferences } from '../registry/inventory.ts';
import { type Registry, withWholeViews } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * The registry; the first view of all of it is compared with fleet.conf, and `report` gets the differences. A command that
 * reads only a part of the registry needs no machine.
 */
export function reportingDifferences(
  registry: Registry,
  proposed: readonly ProposedMachine[],
  report: (difference: InventoryDifference) => void,
): Registry {
  let isCompared: boolean = false;
  const compare = (view: RegistryView): void => {
    if (isCompared || !view.isWhole) return;
    for (const difference of inventoryDifferences(view, proposed)) report(difference);
    isCompared = true;
  };
  return withWholeViews({
    ...registry,
    read: (use) =>
      registry.read((view) => {
        const result = use(view);
        compare(view);
        return result;
      }),
  });
}
