import type { ProposedMachine } from '../machine/machine.ts';
import { type InventoryDifference, inventoryDifferences } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';

/** The registry; the first view of it that is read is compared with fleet.conf, and `report` gets the differences. */
export function reportingDifferences(
  registry: Registry,
  proposed: readonly ProposedMachine[],
  report: (difference: InventoryDifference) => void,
): Registry {
  let isCompared: boolean = false;
  return {
    ...registry,
    async load() {
      const view = await registry.load();
      if (!isCompared) for (const difference of inventoryDifferences(view, proposed)) report(difference);
      isCompared = true;
      return view;
    },
  };
}
