import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { cluster, desiredUnit, idOf, observedUnit } from '../support/builders.ts';

/** Quadratic work on four times as many units and machines reads sixteen times as much. */
const FACTOR = 4;
const MOST_GROWTH = 6;

type Case = {
  readonly fleet?: string;
  /** Whether the units have no assignment. */
  readonly isNew?: boolean;
  /** Whether the machines have the units. */
  readonly isObserved?: boolean;
  readonly machines: number;
};

/** `units` units on machines in turn, of which half have the lines `fleet` in [X-Fleet]. */
function clusterOf(
  units: number,
  { fleet = '', isNew = false, isObserved = !isNew, machines }: Case,
): ClusterSnapshot {
  const names = Array.from({ length: machines }, (_, at) => `m${at}`);
  const home = (at: number): string => idOf(names[at % machines] ?? '');
  const all = Array.from({ length: units }, (_, at) => {
    const lines = at % 2 === 0 ? fleet.replace('%', String(at)) : '';
    const unit = desiredUnit(`u${String(at).padStart(5, '0')}.service`, lines);
    return { ...unit, machine: isNew ? undefined : home(at) };
  });
  const empty = names.reduce((builder, name) => builder.machine(name), cluster()).snapshot();
  const views = empty.machines.map((view) =>
    view.observation === undefined
      ? view
      : {
          ...view,
          observation: {
            ...view.observation,
            units: all
              .filter((_, at) => isObserved && home(at) === view.id)
              .map((unit) => observedUnit(unit)),
          },
        },
  );
  return { ...empty, units: all, machines: views };
}

/** How often a schedule reads the name or the placement of a unit. */
function readsOf(snapshot: ClusterSnapshot): number {
  let reads = 0;
  const counted = snapshot.units.map((unit) => ({
    ...unit,
    get name() {
      reads++;
      return unit.name;
    },
    get placement() {
      reads++;
      return unit.placement;
    },
  }));
  schedule({ ...snapshot, units: counted });
  return reads;
}

describe('the work for a schedule', () => {
  it.each<[string, Case]>([
    ['units on few machines', { machines: 2 }],
    ['units in conflict', { machines: 2, fleet: 'Conflicts=u%x* other-*' }],
    ['new units', { machines: 50, isNew: true }],
    ['new units that machines already have', { machines: 50, isNew: true, isObserved: true }],
  ])('grows in proportion to the number of units: %s', (_, kind) => {
    const machines = kind.isNew ? kind.machines * FACTOR : kind.machines;
    const small = readsOf(clusterOf(500, kind));
    const large = readsOf(clusterOf(500 * FACTOR, { ...kind, machines }));
    expect(small).toBeGreaterThan(1000);
    expect(large).toBeLessThan(MOST_GROWTH * small);
  });
});

describe('the work for one new unit', () => {
  it('checks on each machine only the rules that can exclude it there', () => {
    const clusters = [50, 50 * FACTOR].map((machines) => clusterOf(10 * machines, { machines }));
    const readsPerMachine = clusters.map((snapshot) => {
      let reads = 0;
      const unit = desiredUnit('z.service');
      const counted = Object.defineProperty({ ...unit }, 'placement', {
        get() {
          reads++;
          return unit.placement;
        },
      });
      schedule({ ...snapshot, units: [...snapshot.units, counted] }, new Set([unit.name]));
      return reads;
    });
    expect(readsPerMachine[1]).toBe(readsPerMachine[0]);
  });
});
