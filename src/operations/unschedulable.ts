import type { UnitResult } from './unit-result.ts';

/** Whether a loaded or launched unit has no feasible machine. A file by itself, because every command loads it for its exit status. */
export function isUnschedulable({ idle, unschedulable, global, target, eligible }: UnitResult): boolean {
  if (idle) return false;
  return unschedulable || (global && target !== 'inactive' && eligible === 0);
}
