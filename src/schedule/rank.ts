import { compareText } from '../base/compare.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import type { Workload } from './workload.ts';

/** Best machine first: fewest standard units, then the lowest id, so that equal snapshots decide alike. */
export function rank(machines: readonly MachineView[], workload: Workload): readonly MachineView[] {
  return machines.toSorted(
    (a, b) => workload.count(a.id ?? '') - workload.count(b.id ?? '') || compareText(a.id ?? '', b.id ?? ''),
  );
}
