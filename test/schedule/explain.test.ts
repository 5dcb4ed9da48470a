import { describe, expect, it } from 'vitest';
import { CONSTRAINTS } from '../../src/schedule/constraints.ts';
import { type Explanation, explain } from '../../src/schedule/explain.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { type ClusterBuilder, cluster, desiredUnit, TTL_MS } from '../support/builders.ts';
import { randomCluster } from '../support/random-cluster.ts';

/** The explanation of a unit of the cluster. */
function explained(builder: ClusterBuilder, name: string): Explanation {
  const snapshot = builder.snapshot();
  const unit = snapshot.units.find((candidate) => candidate.name === name);
  if (unit === undefined) throw new Error(`no unit ${name}`);
  return explain(snapshot, unit);
}

/** Machines in their order, with their load and what speaks against them: `m1 2`, `m2 0 MachineID Conflicts`. */
function cases({ machines }: Explanation): readonly string[] {
  return machines.map(({ machine, units, results }) => {
    const against = results.filter(({ reason }) => reason !== undefined).map(({ rule }) => rule);
    return [machine.machine.name, units, ...against].join(' ');
  });
}

const THREE = cluster().machine('m1').machine('m2').machine('m3');

describe('explain', () => {
  it('names the rules by names that never change', () => {
    expect(CONSTRAINTS.map(({ rule }) => rule)).toEqual([
      'MachineID',
      'MachineMetadata',
      'MachineOf',
      'Replaces',
      'Triggers',
      'TriggeredBy',
      'Conflicts',
      'GlobalConflicts',
      'UnitConflicts',
      'Cordon',
      'ForeignUnit',
      'OtherCluster',
      'Unreachable',
      'Fenced',
    ]);
  });

  it('puts the machine of a unit first, then those it fits, best first, then the others', () => {
    const told = explained(
      cluster()
        .machine('m1', { role: 'db' })
        .machine('m2', { role: 'web' })
        .machine('m3', { role: 'web' })
        .machine('m4', { role: 'web' })
        .unit('x.service', '', { machine: 'm2' })
        .unit('y.service', '', { machine: 'm3' })
        .unit('web.service', 'MachineMetadata=role=web', { machine: 'm3' }),
      'web.service',
    );
    expect(told.decision.kind).toBe('keep');
    expect(cases(told)).toEqual(['m3 1', 'm4 0', 'm2 1', 'm1 0 MachineMetadata']);
    expect(told.runnerUp?.machine.name).toBe('m4');
  });

  it('tells everything that speaks against a machine, not only the first rule', () => {
    const told = explained(
      cluster()
        .machine('m1', { role: 'db' }, { cluster: 'theirs' })
        .unreachable('m2', TTL_MS)
        .unit('web.service', 'MachineMetadata=role=web'),
      'web.service',
    );
    expect(told.decision.kind).toBe('unschedulable');
    expect(cases(told)).toEqual(['m1 0 MachineMetadata OtherCluster', 'm2 0 MachineMetadata Unreachable']);
    expect(told.runnerUp).toBeUndefined();
  });

  it('decides about a unit that is inactive as if it was wanted, and one that the registry does not have', () => {
    const inactive = explained(THREE.unit('web.service', '', { target: 'inactive' }), 'web.service');
    expect(inactive.decision).toMatchObject({ kind: 'place' });
    expect(inactive.unit.target).toBe('inactive');
    const unknown = explain(
      THREE.unit('a.service', '', { machine: 'm1' }).snapshot(),
      desiredUnit('new.service', 'Conflicts=a.service', { target: 'inactive' }),
    );
    expect(cases(unknown)).toEqual(['m2 0', 'm3 0', 'm1 1 Conflicts']);
  });

  it('has no runner-up for a global unit, and shows each machine', () => {
    const told = explained(
      THREE.unit('a.service', '', { machine: 'm2' }).unit('g.service', 'Global=true\nConflicts=a.service'),
      'g.service',
    );
    expect(told.decision.kind).toBe('global');
    expect(told.runnerUp).toBeUndefined();
    expect(cases(told)).toEqual(['m1 0', 'm3 0', 'm2 1 Conflicts']);
  });

  it('shows every machine of a unit whose own machine has left the inventory', () => {
    const told = explained(THREE.unit('web.service', '', { machine: 'gone' }), 'web.service');
    expect(told.decision).toMatchObject({ kind: 'move', because: { code: 'machine-removed' } });
    expect(cases(told)).toEqual(['m1 0', 'm2 0', 'm3 0']);
  });

  it('agrees with what is decided, in any cluster', () => {
    let compared = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const snapshot = randomCluster(seed);
      for (const unit of snapshot.units.filter(({ target }) => target !== 'inactive')) {
        const [decision] = schedule(snapshot, new Set([unit.name]));
        const told = explain(snapshot, unit);
        expect(told.decision).toEqual(decision);
        if (decision === undefined || !('rejected' in decision)) continue;
        const firsts = told.machines.flatMap(({ machine, results }) => {
          const reason = results.find(({ reason }) => reason !== undefined)?.reason;
          return reason === undefined ? [] : [[machine.machine.name, reason] as const];
        });
        const rejected = decision.rejected.map(({ machine, reason }) => [machine, reason] as const);
        expect(Object.fromEntries(firsts)).toEqual(Object.fromEntries(rejected));
        compared += rejected.length;
      }
    }
    expect(compared).toBeGreaterThan(100);
  });
});
