import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { cluster, foreignUnit } from '../support/builders.ts';
import { pick, seeded } from '../support/random.ts';
import { afterDecisions } from './naive.ts';

const PLACEMENTS = ['', 'MachineMetadata=role=web', 'MachineMetadata=role=db', 'Conflicts=u1*'];

/** A cluster with units that are new, units on machines that they have to leave, and machines of different load. */
function clusterOf(seed: number): ClusterSnapshot {
  const random = seeded(seed);
  let builder = cluster();
  const machines = Array.from({ length: 6 }, (_, at) => `m${at}`);
  for (const name of machines) builder = builder.machine(name, { role: pick(random, ['web', 'db']) });
  for (let at = 10; at < 40; at++) {
    const isNew = random() < 0.7;
    const fleet = pick(random, PLACEMENTS);
    builder = builder.unit(
      `u${at}.service`,
      fleet,
      isNew ? {} : { machine: pick(random, [...machines, 'gone']) },
    );
  }
  return builder.snapshot();
}

describe('units with equal placement', () => {
  it('are placed together as they are one after another', () => {
    let placed = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const snapshot = clusterOf(seed);
      const together = schedule(snapshot);
      let current = snapshot;
      // Units on machines are decided first.
      const isNew = new Map(snapshot.units.map(({ name, machine }) => [name, machine === undefined]));
      const ordered = [...together].sort((a, b) => Number(isNew.get(a.unit)) - Number(isNew.get(b.unit)));
      for (const decision of ordered) {
        const [alone] = schedule(current, new Set([decision.unit]));
        if (decision.kind === 'place') placed++;
        expect([seed, alone]).toEqual([seed, decision]);
        current = afterDecisions(current, [decision]);
      }
    }
    expect(placed).toBeGreaterThan(300);
  });

  it('are not placed on a machine that has another unit of that name', () => {
    const foreign = foreignUnit('b.service');
    const [a, b] = schedule(
      cluster()
        .machine('m1', {}, { units: [foreign] })
        .machine('m2')
        .unit('a.service')
        .unit('b.service')
        .snapshot(),
    );
    expect([a, b]).toMatchObject([{ kind: 'place' }, { kind: 'place', rejected: [{ machine: 'm1' }] }]);
  });
});
