import { compareText } from '../base/compare.ts';
import type { MachinePlan, UnitChange } from './step.ts';

/**
 * The same changes, at most `size` of them at a time: by unit, then by machine. Each wave is carried out before
 * the next, so that never more than `size` copies are down at once.
 */
export function wavesOf(plans: readonly MachinePlan[], size: number): readonly (readonly MachinePlan[])[] {
  const all = plans
    .flatMap(({ machine, changes }) => changes.map((change) => ({ machine, change })))
    .toSorted((a, b) => compareText(a.change.unit, b.change.unit) || compareText(a.machine, b.machine));
  const waves = [];
  for (let start = 0; start < all.length; start += size)
    waves.push(byMachine(all.slice(start, start + size)));
  return waves;
}

function byMachine(
  changes: readonly { readonly machine: string; readonly change: UnitChange }[],
): readonly MachinePlan[] {
  const machines = [...new Set(changes.map(({ machine }) => machine))].sort(compareText);
  return machines.map((name) => ({
    machine: name,
    changes: changes.filter(({ machine }) => machine === name).map(({ change }) => change),
  }));
}
