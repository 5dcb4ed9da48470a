import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/schedule/decision.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { cluster, foreignUnit, idOf, TTL_MS } from '../support/builders.ts';
import { decisionOf, placesOf } from './ask.ts';

const THREE = cluster().machine('m1').machine('m2').machine('m3');
const A = 'a.service';
const B = 'b.service';

describe('placing', () => {
  it('takes the machine with the lowest id when all are empty, and gives no reasons for the others', () => {
    expect(decisionOf(A, THREE.unit(A))).toEqual({
      kind: 'place',
      unit: A,
      machine: idOf('m1'),
      rejected: [],
    });
  });

  it('takes the machine with the fewest standard units', () => {
    const busy = THREE.unit('x.service', '', { machine: 'm1' }).unit('y.service', '', { machine: 'm3' });
    expect(placesOf(busy.unit(A))[A]).toBe('m2');
  });

  it('counts loaded units, and neither inactive nor global ones', () => {
    const builder = cluster()
      .machine('m1')
      .machine('m2')
      .unit('loaded.service', '', { machine: 'm1', target: 'loaded' })
      .unit('inactive.service', '', { machine: 'm2', target: 'inactive' })
      .unit('global.service', 'Global=true');
    expect(placesOf(builder.unit(A))[A]).toBe('m2');
  });

  it('spreads units of one pass evenly, in the order of names', () => {
    const seven = Array.from({ length: 7 }, (_, index) => `s@${index + 1}.service`);
    const builder = seven.toReversed().reduce((so, name) => so.unit(name), THREE);
    expect(seven.map((name) => placesOf(builder)[name])).toEqual(['m1', 'm2', 'm3', 'm1', 'm2', 'm3', 'm1']);
  });

  it('keeps the reason of every machine that did not fit, by name', () => {
    const builder = cluster()
      .machine('m3', { role: 'db' })
      .machine('m2', {}, { units: [foreignUnit(A)] })
      .machine('m1', { role: 'web' })
      .unit(A, 'MachineMetadata=role=db');
    const { rejected } = decisionOf(A, builder) as Extract<Decision, { kind: 'place' }>;
    expect(rejected).toEqual([
      {
        machine: 'm1',
        reason: { code: 'machine-metadata', key: 'role', wanted: ['db'], actual: 'web' },
      },
      {
        machine: 'm2',
        reason: { code: 'machine-metadata', key: 'role', wanted: ['db'], actual: undefined },
      },
    ]);
  });

  it('gives up when no machine fits, with the first reason of each', () => {
    const builder = cluster().unreachable('m1', 1000).machine('m2').unit(A, 'MachineID=deadbeef');
    expect(decisionOf(A, builder)).toEqual({
      kind: 'unschedulable',
      unit: A,
      rejected: [
        { machine: 'm1', reason: { code: 'machine-id', wanted: 'deadbeef' } },
        { machine: 'm2', reason: { code: 'machine-id', wanted: 'deadbeef' } },
      ],
    });
  });

  it('gives up without machines', () => {
    expect(decisionOf(A, cluster().unit(A))).toEqual({ kind: 'unschedulable', unit: A, rejected: [] });
  });

  it('keeps instances apart until there is no machine left', () => {
    const spread = (name: string) => [name, 'Conflicts=spread@*.service'] as const;
    const builder = ['1', '2', '3', '4'].reduce((so, n) => so.unit(...spread(`spread@${n}.service`)), THREE);
    expect(Object.values(placesOf(builder))).toEqual(['m1', 'm2', 'm3', '-']);
  });

  it('places a new unit where a unit that is wanted nowhere any more was in the way', () => {
    const builder = cluster()
      .machine('m1')
      .unit(A, 'Conflicts=b.service')
      .unit(B, '', { machine: 'm1', target: 'inactive' });
    expect(placesOf(builder)).toEqual({ [A]: 'm1', [B]: '-' });
  });

  it('gives a machine to one of two units in conflict, by name, no matter which declares it', () => {
    const mine = cluster().machine('m1').unit(A, 'Conflicts=b.service').unit(B);
    const theirs = cluster().machine('m1').unit(A).unit(B, 'Conflicts=a.service');
    expect(placesOf(mine)).toEqual({ [A]: 'm1', [B]: '-' });
    expect(placesOf(theirs)).toEqual({ [A]: 'm1', [B]: '-' });
  });
});

describe('units that go together', () => {
  it('follows a chain of MachineOf=, whatever the names', () => {
    const builder = THREE.unit('x.service', '', { machine: 'm1' })
      .unit(A, 'MachineOf=b.service')
      .unit(B, 'MachineOf=c.service')
      .unit('c.service', 'MachineOf=d.service')
      .unit('d.service');
    expect(placesOf(builder)).toMatchObject({ [A]: 'm2', [B]: 'm2', 'c.service': 'm2', 'd.service': 'm2' });
  });

  it('follows a chain of a thousand', () => {
    const names = Array.from({ length: 1000 }, (_, index) => `u${1000 + index}.service`);
    const units = names.map((name, index) => [name, names[index + 1]] as const);
    const builder = units.reduce((so, [name, next]) => so.unit(name, next && `MachineOf=${next}`), THREE);
    expect(new Set(Object.values(placesOf(builder)))).toEqual(new Set(['m1']));
  });

  it('places a chain nowhere when its end is nowhere', () => {
    const builder = THREE.unit(A, 'MachineOf=b.service').unit(B, 'MachineOf=c.service');
    expect(decisionOf(A, builder)).toMatchObject({
      kind: 'unschedulable',
      rejected: ['m1', 'm2', 'm3'].map((machine) => ({
        machine,
        reason: { code: 'machine-of-nowhere', unit: B },
      })),
    });
  });

  it('never places a circle, in which each waits for the other', () => {
    const builder = THREE.unit(A, 'MachineOf=b.service').unit(B, 'MachineOf=a.service').unit('c.service');
    expect(placesOf(builder)).toEqual({ [A]: '-', [B]: '-', 'c.service': 'm1' });
  });

  it('leaves a circle that was placed where it is', () => {
    const builder = THREE.unit(A, 'MachineOf=b.service', { machine: 'm2' }).unit(B, 'MachineOf=a.service', {
      machine: 'm2',
    });
    expect(schedule(builder.snapshot()).map(({ kind }) => kind)).toEqual(['keep', 'keep']);
  });

  it('cannot share the machines of two units that are apart', () => {
    const builder = THREE.unit('x.service', '', { machine: 'm1' })
      .unit('y.service', '', { machine: 'm2' })
      .unit(A, 'MachineOf=x.service\nMachineOf=y.service');
    expect(placesOf(builder)[A]).toBe('-');
  });

  it.each(['a.timer', 'a.socket', 'a.path'])('puts %s beside its service, in one pass', (name) => {
    const busy = THREE.unit('x.service', '', { machine: 'm1' });
    expect(placesOf(busy.unit(name).unit(A))).toMatchObject({ [A]: 'm2', [name]: 'm2' });
  });

  it.each(['a.timer', 'a.socket', 'a.path'])('puts a service that asks for it beside its %s', (name) => {
    const busy = THREE.unit('x.service', '', { machine: 'm1' });
    const builder = busy.unit(name).unit(A, `MachineOf=${name}`);
    expect(placesOf(builder)).toMatchObject({ [A]: 'm2', [name]: 'm2' });
  });

  it.each(['a.timer', 'a.socket', 'a.path'])('puts %s beside a loaded service that it asks for', (name) => {
    const busy = THREE.unit('x.service', '', { machine: 'm1' });
    const builder = busy.unit(name, `MachineOf=${A}`).unit(A, '', { target: 'loaded' });
    expect(placesOf(builder)).toMatchObject({ [A]: 'm2', [name]: 'm2' });
  });
});

describe('global units', () => {
  it('go to every machine they fit, by id', () => {
    const builder = cluster()
      .machine('m3', { role: 'web' })
      .machine('m1', { role: 'web' })
      .machine('m2', { role: 'db' })
      .unreachable('m4', TTL_MS * 10, { role: 'web' })
      .unit(A, 'Global=true\nMachineMetadata=role=web');
    expect(decisionOf(A, builder)).toMatchObject({
      kind: 'global',
      machines: [idOf('m1'), idOf('m3')],
      rejected: [
        { machine: 'm2', reason: { code: 'machine-metadata' } },
        { machine: 'm4', reason: { code: 'machine-silent' } },
      ],
    });
  });

  it('are still decided where no machine fits', () => {
    expect(decisionOf(A, cluster().unit(A, 'Global=true'))).toEqual({
      kind: 'global',
      unit: A,
      machines: [],
      rejected: [],
    });
  });

  it('leave the machine of a standard unit in conflict alone', () => {
    const builder = THREE.unit(A, 'Global=true\nConflicts=b.*').unit(B, '', { machine: 'm2' });
    expect(placesOf(builder)).toEqual({ [A]: 'm1 m3', [B]: 'm2' });
  });

  it('keep a new unit in conflict from every machine they fit', () => {
    expect(placesOf(THREE.unit(A, 'Conflicts=b.*').unit(B, 'Global=true'))).toEqual({
      [A]: '-',
      [B]: 'm1 m2 m3',
    });
  });

  it('in conflict with each other share no machine', () => {
    const builder = THREE.unit(A, 'Global=true').unit(B, 'Global=true\nConflicts=a.service');
    expect(placesOf(builder)).toEqual({ [A]: 'm1 m2 m3', [B]: '-' });
  });
});

describe('releasing', () => {
  it('releases a unit that is wanted nowhere, and says where it was', () => {
    expect(decisionOf(A, THREE.unit(A, '', { target: 'inactive', machine: 'm2' }))).toEqual({
      kind: 'release',
      unit: A,
      from: idOf('m2'),
    });
    expect(decisionOf(A, THREE.unit(A, 'Global=true', { target: 'inactive' }))).toEqual({
      kind: 'release',
      unit: A,
      from: undefined,
    });
  });
});

describe('scope', () => {
  const builder = cluster()
    .machine('m1')
    .machine('m2')
    .unit(A)
    .unit(B, '', { machine: 'm9' })
    .unit('c.service', '', { target: 'inactive', machine: 'm1' });

  it('decides everything without one, by name', () => {
    const decisions = schedule(builder.snapshot());
    expect(decisions.map(({ unit, kind }) => [unit, kind])).toEqual([
      [A, 'place'],
      [B, 'move'],
      ['c.service', 'release'],
    ]);
  });

  it('decides only the units named', () => {
    expect(schedule(builder.snapshot(), new Set([B, 'nothing.service'])).map(({ unit }) => unit)).toEqual([
      B,
    ]);
    expect(schedule(builder.snapshot(), new Set())).toEqual([]);
  });

  it('counts the others as they are', () => {
    const busy = cluster()
      .machine('m1')
      .machine('m2')
      .unit(A)
      .unit('x.service', '', { machine: 'm1' })
      .unit('y.service');
    expect(placesOf(busy, [A])).toEqual({ [A]: 'm2' });
  });
});
