import { takenAlong } from '../cluster/dependencies.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { hasStep, type MachinePlan, type UnitChange, type Wave } from './step.ts';
import { tiesBetween } from './ties.ts';

/**
 * The waves with each start that makes up for a stop in the wave of that stop: the old copy of a unit that moves is
 * stopped late, and takes down what was only started before.
 */
export function withLateRevivals(waves: readonly Wave[], snapshot: ClusterSnapshot): readonly Wave[] {
  const { stops } = tiesBetween(snapshot);
  // `machine unit` → the last wave that takes it down.
  const downIn = new Map<string, number>();
  for (const [index, { plans }] of waves.entries()) {
    for (const { machine, changes } of plans) {
      const stopped = changes.filter((change) => hasStep(change, 'stop')).map(({ unit }) => unit);
      for (const unit of takenAlong(stopped, stops)) downIn.set(`${machine} ${unit}`, index);
    }
  }
  const placeOf = (machine: string, change: UnitChange, index: number): number =>
    isRevival(change) ? Math.max(index, downIn.get(`${machine} ${change.unit}`) ?? index) : index;
  const entries = waves.flatMap(({ plans }, index) =>
    plans.flatMap(({ machine, changes }) =>
      changes.map((change) => ({ machine, change, from: index, to: placeOf(machine, change, index) })),
    ),
  );
  if (entries.every(({ from, to }) => from === to)) return waves;
  return waves
    .map((wave, index): Wave => {
      const there = entries.filter(({ to }) => to === index);
      const plans = [...new Set(there.map(({ machine }) => machine))].map((name): MachinePlan => {
        const own = there.filter(({ machine }) => machine === name);
        return { machine: name, changes: own.map(({ change }) => change) };
      });
      return { ...wave, plans };
    })
    .filter(({ plans }) => plans.length > 0);
}

function isRevival(change: UnitChange): boolean {
  return hasStep(change, 'start') && !hasStep(change, 'stop', 'write');
}
