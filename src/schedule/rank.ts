import { compareText } from '../base/text.ts';
import type { DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import type { Workload } from './workload.ts';

/**
 * Best machine for `unit` first: the one of a unit that it replaces or starts, then fewest standard units, then the
 * lowest id, so that equal snapshots decide alike.
 */
export function rank(
  unit: DesiredUnit,
  machines: readonly MachineView[],
  workload: Workload,
): readonly MachineView[] {
  const preferred = workload.preferredBy(unit);
  const isOther = ({ id }: MachineView): number => (preferred !== undefined && id === preferred ? 0 : 1);
  return machines.toSorted(
    (a, b) =>
      isOther(a) - isOther(b) ||
      workload.count(a.id ?? '') - workload.count(b.id ?? '') ||
      compareText(a.id ?? '', b.id ?? ''),
  );
}
