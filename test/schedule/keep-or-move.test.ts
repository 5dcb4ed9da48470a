import { describe, expect, it } from 'vitest';
import type { DesiredUnit } from '../../src/cluster/snapshot.ts';
import { isCutOff } from '../../src/schedule/schedule.ts';
import {
  type ClusterBuilder,
  cluster,
  desiredUnit,
  foreignUnit,
  idOf,
  systemdState,
  TTL_MS,
} from '../support/builders.ts';
import { decisionOf, placesOf } from './ask.ts';

const THREE = cluster().machine('m1').machine('m2').machine('m3');
const A = 'a.service';
const B = 'b.service';

describe('staying', () => {
  const stays = { kind: 'keep', unit: A, machine: idOf('m1'), violation: undefined };

  it.each<readonly [string, ClusterBuilder]>([
    ['whatever the load of its machine', THREE.unit(A, '', { machine: 'm1' }).unit(B, '', { machine: 'm1' })],
    [
      'when the unit it was put beside is gone',
      THREE.unit(A, 'MachineOf=b.service', { machine: 'm1' }).unit(B, '', { target: 'inactive' }),
    ],
    [
      'when a global unit in conflict came later',
      THREE.unit(A, 'Conflicts=b.*', { machine: 'm1' }).unit(B, 'Global=true'),
    ],
    [
      'when its record there was lost, so that it seems to be a foreign unit',
      cluster()
        .machine('m1', {}, { units: [foreignUnit(A)] })
        .machine('m2')
        .unit(A, '', { machine: 'm1' }),
    ],
  ])('%s', (_, builder) => {
    expect(decisionOf(A, builder)).toEqual(stays);
  });

  it('despite a rule against its machine, when there is no better one', () => {
    const builder = cluster()
      .machine('m1')
      .machine('m2')
      .unit(A, 'MachineMetadata=role=db', { machine: 'm1' });
    expect(decisionOf(A, builder)).toMatchObject({
      ...stays,
      violation: { code: 'machine-metadata', key: 'role' },
    });
  });
});

describe('moving', () => {
  it.each<readonly [string, ClusterBuilder, string]>([
    [
      'when its machine lost the metadata it asks for',
      cluster()
        .machine('m1')
        .machine('m2', { role: 'db' })
        .unit(A, 'MachineMetadata=role=db', { machine: 'm1' }),
      'machine-metadata',
    ],
    [
      'when the unit it asks to be beside is elsewhere',
      THREE.unit(A, 'MachineOf=b.service', { machine: 'm1' }).unit(B, '', { machine: 'm2' }),
      'machine-of-elsewhere',
    ],
    [
      'when a unit in conflict is there too',
      THREE.unit(A, 'Conflicts=b.service', { machine: 'm1' }).unit(B, '', { machine: 'm1' }),
      'conflict',
    ],
    [
      'when its machine went over to another cluster',
      cluster().machine('m1', {}, { cluster: 'other' }).machine('m2').unit(A, '', { machine: 'm1' }),
      'other-cluster',
    ],
    [
      'also when that machine has a unit of its name',
      cluster()
        .machine('m1', {}, { cluster: 'other', units: [foreignUnit(A)] })
        .machine('m2')
        .unit(A, '', { machine: 'm1' }),
      'other-cluster',
    ],
  ])('%s', (_, builder, code) => {
    expect(decisionOf(A, builder)).toMatchObject({
      kind: 'move',
      from: idOf('m1'),
      machine: idOf('m2'),
      because: { code },
    });
  });

  it('when its machine is not in fleet.conf any more', () => {
    expect(decisionOf(A, THREE.unit(A, '', { machine: 'm9' }))).toEqual({
      kind: 'move',
      unit: A,
      from: idOf('m9'),
      machine: idOf('m1'),
      because: { code: 'machine-removed', machine: idOf('m9') },
      rejected: [],
    });
  });

  it('not from a machine that was removed, when there is no other one', () => {
    const builder = cluster().unreachable('m1', 0).unit(A, '', { machine: 'm9' });
    expect(decisionOf(A, builder)).toMatchObject({ kind: 'keep', violation: { code: 'machine-removed' } });
  });

  it('makes room for a unit that is new in the same pass, whatever the names', () => {
    const builder = cluster()
      .machine('m1')
      .machine('m2', { role: 'db' })
      .unit(A, 'Conflicts=b.service\nMachineID=6d310000')
      .unit(B, 'MachineMetadata=role=db', { machine: 'm1' });
    expect(placesOf(builder)).toEqual({ [A]: 'm1', [B]: 'm2' });
  });

  it('comes before what is new, when there is one place for both', () => {
    const builder = cluster()
      .unreachable('m1', TTL_MS)
      .machine('m2')
      .unit(A, 'Conflicts=b.service')
      .unit(B, '', { machine: 'm1' });
    expect(placesOf(builder)).toEqual({ [A]: '-', [B]: 'm2' });
  });

  it('puts units in conflict apart, and leaves one of them', () => {
    const builder = cluster()
      .machine('m1')
      .machine('m2')
      .unit(A, 'Conflicts=b.service c.service', { machine: 'm1' })
      .unit(B, '', { machine: 'm1' })
      .unit('c.service', 'MachineOf=b.service');
    expect(placesOf(builder)).toEqual({ [A]: 'm2', [B]: 'm1', 'c.service': 'm1' });
  });
});

describe('an unreachable machine', () => {
  const on = (m1: ClusterBuilder, fleet = '') =>
    m1.machine('m2').machine('m3').unit(A, fleet, { machine: 'm1' });

  it.each([
    ['just unreachable', 0, 'keep'],
    ['a moment before agent_ttl', TTL_MS - 1, 'keep'],
    ['exactly agent_ttl', TTL_MS, 'move'],
    ['long after', TTL_MS * 1000, 'move'],
  ])('%s', (_, ms, kind) => {
    expect(decisionOf(A, on(cluster().unreachable('m1', ms)))).toMatchObject({ kind });
  });

  it.each(['ssh-host-key', 'ssh-authentication', 'ssh-name', 'remote-script'])(
    'that is there and refuses us (%s) keeps its units',
    (code) => {
      const builder = on(cluster().unreachable('m1', TTL_MS * 10, {}, { code }));
      expect(decisionOf(A, builder)).toMatchObject({ kind: 'keep', violation: { mayBeDown: false } });
    },
  );

  it('gives the reason of the move, and why other machines did not get the unit', () => {
    const builder = cluster()
      .unreachable('m1', TTL_MS, { role: 'db' })
      .machine('m2')
      .machine('m3', { role: 'db' })
      .unit(A, 'MachineMetadata=role=db', { machine: 'm1' });
    expect(decisionOf(A, builder)).toMatchObject({
      kind: 'move',
      machine: idOf('m3'),
      because: { code: 'machine-silent', silentMs: TTL_MS },
      rejected: [
        { machine: 'm1', reason: { code: 'machine-silent' } },
        { machine: 'm2', reason: { code: 'machine-metadata' } },
      ],
    });
  });

  it('keeps a unit that fits nowhere else', () => {
    const builder = on(cluster().unreachable('m1', TTL_MS, { role: 'db' }), 'MachineMetadata=role=db');
    expect(decisionOf(A, builder)).toMatchObject({ kind: 'keep', violation: { code: 'machine-silent' } });
  });

  it('keeps its units within agent_ttl even when another rule speaks against it too', () => {
    const builder = cluster()
      .unreachable('m1', 1000)
      .machine('m2', { role: 'db' })
      .machine('m3')
      .unit(A, 'MachineMetadata=role=db', { machine: 'm1' });
    expect(decisionOf(A, builder)).toMatchObject({ kind: 'keep', violation: { code: 'machine-silent' } });
  });

  it('loses a unit although a global one in conflict came later', () => {
    const builder = cluster()
      .unreachable('m1', TTL_MS, { role: 'web' })
      .machine('m2')
      .machine('m3')
      .unit(A, '', { machine: 'm1' })
      .unit(B, 'Global=true\nConflicts=a.service\nMachineMetadata=role=web');
    expect(decisionOf(A, builder)).toMatchObject({ kind: 'move', because: { code: 'machine-silent' } });
  });

  it('loses units that go together to one machine', () => {
    const builder = cluster()
      .unreachable('m1', TTL_MS)
      .machine('m2')
      .machine('m3')
      .unit('a.timer', '', { machine: 'm1' })
      .unit(A, '', { machine: 'm1' })
      .unit(B, 'MachineOf=a.service', { machine: 'm1' })
      .unit('x.service', '', { machine: 'm2' });
    expect(placesOf(builder)).toMatchObject({ 'a.timer': 'm3', [A]: 'm3', [B]: 'm3' });
  });

  it('loses a timer and the service that asks to be beside it', () => {
    const builder = cluster()
      .unreachable('m1', TTL_MS)
      .machine('m2')
      .machine('m3')
      .unit('a.timer', '', { machine: 'm1' })
      .unit(A, 'MachineOf=a.timer', { machine: 'm1' });
    expect(placesOf(builder)).toEqual({ 'a.timer': 'm2', [A]: 'm2' });
  });

  it('keeps a unit whose companion is out of scope and stays', () => {
    const builder = on(cluster().unreachable('m1', TTL_MS), 'MachineOf=b.service').unit(B, '', {
      machine: 'm1',
    });
    expect(placesOf(builder, [A])).toEqual({ [A]: 'm1' });
    expect(placesOf(builder)).toEqual({ [A]: 'm2', [B]: 'm2' });
  });

  it('gets no new unit', () => {
    expect(placesOf(cluster().unreachable('m1', 0).machine('m2').unit(A))[A]).toBe('m2');
  });
});

describe('why a unit stays', () => {
  const held = {
    at: 1,
    machines: [{ id: idOf('m1'), name: 'm1' }],
    cause: { kind: 'not-up', state: systemdState('failed') },
  } as const;
  const reasonFor = (builder: ClusterBuilder, older?: DesiredUnit, isHeld = true): unknown => {
    const units = builder.snapshot().units.map((unit) => (isHeld ? { ...unit, held } : unit));
    const keptTexts = older === undefined ? [] : [{ unit: older, isBase: true }];
    const decision = decisionOf(A, builder, { units, keptTexts });
    return decision.kind === 'keep' && decision.violation !== undefined ? decision.stays : decision.kind;
  };
  const on = (m1: ClusterBuilder, fleet = ''): ClusterBuilder =>
    m1.machine('m2').machine('m3').unit(A, fleet, { machine: 'm1' });
  const lost = (ms: number, fleet = '', code = 'ssh-timeout'): ClusterBuilder =>
    on(cluster().unreachable('m1', ms, { role: 'db' }, { code }), fleet);

  it.each<readonly [string, ClusterBuilder]>([
    ['may-return', lost(0)],
    ['is-up', lost(TTL_MS, '', 'ssh-host-key')],
    ['no-other', lost(TTL_MS, 'MachineMetadata=role=db')],
    ['no-other', on(cluster().machine('m1'), 'MachineMetadata=role=db')],
    [
      'cut-off',
      cluster().unreachable('m1', 0).unreachable('m2', 0).machine('m3').unit(A, '', { machine: 'm1' }),
    ],
  ])('%s', (code, builder) => {
    expect(reasonFor(builder, undefined, false)).toEqual({ code });
  });

  it.each([0, TTL_MS])('its first text is held, whether or not its machine returns (%d ms)', (ms) => {
    expect(reasonFor(lost(ms))).toMatchObject({ code: 'held', held });
  });

  it('no other machine fits the older text of a held one', () => {
    const older = desiredUnit(A, 'MachineMetadata=role=db', {
      text: '[Service]\nExecStart=/bin/old\n[X-Fleet]\nMachineMetadata=role=db\n',
    });
    expect(reasonFor(lost(TTL_MS), older)).toEqual({ code: 'no-other' });
  });

  it('not, if its held text has an older one that fits elsewhere', () => {
    const older = desiredUnit(A, '', { text: '[Service]\nExecStart=/bin/old\n' });
    expect([reasonFor(lost(0), older), reasonFor(lost(TTL_MS), older)]).toEqual([
      { code: 'may-return' },
      'move',
    ]);
  });
});

describe('when more than half of the machines are unreachable', () => {
  const silent = (count: number, of: number) =>
    Array.from({ length: of }, (_, index) => `m${index + 1}`).reduce(
      (so, name, index) => (index < count ? so.unreachable(name, TTL_MS * 10) : so.machine(name)),
      cluster(),
    );

  it.each([
    [1, 1, true],
    [1, 2, false],
    [2, 2, true],
    [1, 3, false],
    [2, 3, true],
    [2, 4, false],
    [3, 5, true],
    [0, 0, false],
  ])('%d of %d: cut off is %j', (count, of, expected) => {
    expect(isCutOff(silent(count, of).snapshot())).toBe(expected);
  });

  it('nothing leaves an unreachable machine', () => {
    expect(decisionOf(A, silent(2, 3).unit(A, '', { machine: 'm1' }))).toMatchObject({
      kind: 'keep',
      violation: { code: 'machine-silent' },
    });
    expect(decisionOf(A, silent(1, 3).unit(A, '', { machine: 'm1' }))).toMatchObject({ kind: 'move' });
  });

  it('not even when another rule speaks against its machine', () => {
    const builder = silent(2, 3).unit(A, 'MachineOf=b.service', { machine: 'm1' });
    expect(decisionOf(A, builder.unit(B, '', { machine: 'm3' }))).toMatchObject({ kind: 'keep' });
  });

  it('machines that never answered count', () => {
    const builder = cluster().never('m1').never('m2').machine('m3');
    expect(isCutOff(builder.snapshot())).toBe(true);
    expect(isCutOff(builder.snapshot({ cutOff: 1 }))).toBe(false);
  });

  it('new units are still placed on what answers', () => {
    expect(placesOf(silent(2, 3).unit(A))[A]).toBe('m3');
  });
});
