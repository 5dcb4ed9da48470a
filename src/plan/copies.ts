import { groupBy } from '../base/group-by.ts';
import { type ClusterSnapshot, type MachineView, otherCluster } from '../cluster/snapshot.ts';
import type { ObservedUnit } from '../cluster/unit-state.ts';

/** A unit on a machine of this cluster. */
export type ObservedCopy = { readonly view: MachineView; readonly observed: ObservedUnit };

/** Unit → its copies, in the order of the machines. Only units of `names` are searched. */
export function copiesOfUnits(
  { machines, clusterId }: Pick<ClusterSnapshot, 'machines' | 'clusterId'>,
  names: ReadonlySet<string>,
): ReadonlyMap<string, readonly ObservedCopy[]> {
  const copies = machines
    .filter((view) => otherCluster(view, { clusterId }) === undefined)
    .flatMap((view) => {
      const units = (view.observation?.units ?? []).filter(({ name }) => names.has(name));
      return units.map((observed) => ({ view, observed }));
    });
  return groupBy(copies, ({ observed }) => observed.name);
}
