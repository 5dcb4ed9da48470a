import { expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { CommandsElsewhere } from '../../src/controller/commands-elsewhere.ts';
import { cluster, desiredUnit, observedUnit } from '../support/builders.ts';
import { growthOf } from '../support/operations.ts';

/** `count` launched units with the decision `token`, five on each machine. */
function clusterOf(count: number, token: number): ClusterSnapshot {
  const units = Array.from({ length: count }, (_, index) => {
    const machine = `m${Math.floor(index / 5)}`;
    return desiredUnit(`u${index}.service`, '', { token, machine });
  });
  const machines = units
    .filter((_, index) => index % 5 === 0)
    .flatMap(({ machine }, index) => {
      const observed = units.filter((unit) => unit.machine === machine).map((unit) => observedUnit(unit));
      return cluster().machine(`m${index}`, {}, { units: observed }).snapshot().machines;
    });
  return { ...cluster().snapshot(), units, machines };
}

it('the work for units that commands have changed grows in proportion to their number', async () => {
  const clusters = new Map([1, 100, 400].map((count) => [count, [1, 2].map((to) => clusterOf(count, to))]));
  const growth = await growthOf(100, (count) => {
    const elsewhere = new CommandsElsewhere();
    return (clusters.get(count) ?? []).map((snapshot) => elsewhere.unitsOf(snapshot));
  });
  expect(growth).toBeGreaterThan(3);
  expect(growth).toBeLessThan(4.5);
});
