import type { ProposedMachine } from '../machine/machine.ts';
import { type InventoryDifference, inventoryDifferences } from '../registry/inventory.ts';
import { type Registry, withReader } from '../registry/registry.ts';

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
  return withReader(registry, (view) => {
    if (isCompared) return;
    for (const difference of inventoryDifferences(view, proposed)) report(difference);
    isCompared = true;
  });
}
