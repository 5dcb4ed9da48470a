import { describe, expect, it } from 'vitest';
import type { Reason } from '../../src/cluster/reason.ts';
import { CONSTRAINTS } from '../../src/schedule/constraints.ts';
import { CLUSTER_ID, type ClusterBuilder, cluster, foreignUnit, idOf } from '../support/builders.ts';
import { against } from './ask.ts';

const UNIT = 'a.service';

/** One machine that answers and has this metadata. */
function m1(metadata = {}): ClusterBuilder {
  return cluster().machine('m1', metadata);
}

type Row = readonly [sentence: string, builder: ClusterBuilder, expected: Reason | undefined];

describe('MachineID=', () => {
  it.each<Row>([
    ['its whole id', m1().unit(UNIT, `MachineID=${idOf('m1')}`), undefined],
    ['its first eight digits', m1().unit(UNIT, `MachineID=${idOf('m1').slice(0, 8)}`), undefined],
    ['its id as a UUID', m1().unit(UNIT, 'MachineID=6d310000-0000-0000-0000-000000000000'), undefined],
    ['another id', m1().unit(UNIT, `MachineID=${idOf('m2')}`), { code: 'machine-id', wanted: idOf('m2') }],
    [
      'the first eight digits of another id',
      m1().unit(UNIT, 'MachineID=deadbeef'),
      { code: 'machine-id', wanted: 'deadbeef' },
    ],
  ])('%s', (_, builder, expected) => {
    expect(against(builder.snapshot(), UNIT)).toEqual(expected === undefined ? [] : [expected]);
  });

  it('does not report a machine whose id is unknown, because it is reported as unreachable', () => {
    const reasons = against(cluster().never('m1').unit(UNIT, 'MachineID=deadbeef').snapshot(), UNIT);
    expect(reasons.map(({ code }) => code)).toEqual(['machine-silent']);
  });
});

describe('MachineMetadata=', () => {
  const miss = (key: string, wanted: readonly string[], actual?: string): Reason => ({
    code: 'machine-metadata',
    key,
    wanted,
    actual,
  });
  it.each<Row>([
    ['the pair is there', m1({ role: 'db' }).unit(UNIT, 'MachineMetadata=role=db'), undefined],
    ['other pairs do not matter', m1({ a: '1', b: '2' }).unit(UNIT, 'MachineMetadata=b=2'), undefined],
    ['another value', m1({ role: 'web' }).unit(UNIT, 'MachineMetadata=role=db'), miss('role', ['db'], 'web')],
    ['no such key', m1().unit(UNIT, 'MachineMetadata=role=db'), miss('role', ['db'])],
    [
      'one of several values will do',
      m1({ role: 'web' }).unit(UNIT, 'MachineMetadata=role=db\nMachineMetadata=role=web'),
      undefined,
    ],
    [
      'none of several values',
      m1({ role: 'x' }).unit(UNIT, 'MachineMetadata=role=db role=web'),
      miss('role', ['db', 'web'], 'x'),
    ],
    [
      'all keys must match',
      m1({ role: 'db', disk: 'ssd' }).unit(UNIT, 'MachineMetadata=role=db disk=ssd'),
      undefined,
    ],
    [
      'the first key that does not match is named',
      m1({ role: 'db' }).unit(UNIT, 'MachineMetadata=role=db disk=ssd region=eu'),
      miss('disk', ['ssd']),
    ],
    ['case matters, in keys', m1({ Role: 'db' }).unit(UNIT, 'MachineMetadata=role=db'), miss('role', ['db'])],
    ['and in values', m1({ role: 'DB' }).unit(UNIT, 'MachineMetadata=role=db'), miss('role', ['db'], 'DB')],
    [
      'a key that every object has is not there either',
      m1().unit(UNIT, 'MachineMetadata=constructor=db'),
      miss('constructor', ['db']),
    ],
    ['nor the strangest one', m1().unit(UNIT, 'MachineMetadata=__proto__=db'), miss('__proto__', ['db'])],
  ])('%s', (_, builder, expected) => {
    expect(against(builder.snapshot(), UNIT)).toEqual(expected === undefined ? [] : [expected]);
  });
});

describe('MachineOf=', () => {
  const two = m1().machine('m2');
  const elsewhere: Reason = { code: 'machine-of-elsewhere', unit: 'b.service', machine: 'm2' };
  const nowhere: Reason = { code: 'machine-of-nowhere', unit: 'b.service' };
  it.each<Row>([
    [
      'the unit is here',
      two.unit(UNIT, 'MachineOf=b.service').unit('b.service', '', { machine: 'm1' }),
      undefined,
    ],
    [
      'a loaded unit is here too',
      two.unit(UNIT, 'MachineOf=b.service').unit('b.service', '', { machine: 'm1', target: 'loaded' }),
      undefined,
    ],
    [
      'the unit is elsewhere',
      two.unit(UNIT, 'MachineOf=b.service').unit('b.service', '', { machine: 'm2' }),
      elsewhere,
    ],
    ['the unit is nowhere', two.unit(UNIT, 'MachineOf=b.service').unit('b.service'), nowhere],
    ['there is no such unit', two.unit(UNIT, 'MachineOf=b.service'), nowhere],
    [
      'a unit that is wanted nowhere is nowhere, wherever it was',
      two.unit(UNIT, 'MachineOf=b.service').unit('b.service', '', { machine: 'm1', target: 'inactive' }),
      nowhere,
    ],
    [
      'of several units, the first that is not here is named',
      two
        .unit(UNIT, 'MachineOf=c.service\nMachineOf=b.service')
        .unit('b.service', '', { machine: 'm2' })
        .unit('c.service', '', { machine: 'm1' }),
      elsewhere,
    ],
    [
      'a machine that is not in fleet.conf any more is named by its id',
      two.unit(UNIT, 'MachineOf=b.service').unit('b.service', '', { machine: 'm9' }),
      { ...elsewhere, machine: idOf('m9') },
    ],
  ])('%s', (_, builder, expected) => {
    expect(against(builder.snapshot(), UNIT)).toEqual(expected === undefined ? [] : [expected]);
  });
});

describe('a timer, socket or path', () => {
  const two = m1().machine('m2');
  const there: Reason = { code: 'triggers-elsewhere', unit: 'a.service', machine: 'm2' };
  const named = (section: string, option: string): string => `[${section}]\nX=1\n${option}=b.service\n`;
  it.each<readonly [string, string, ClusterBuilder, Reason | undefined]>([
    ['is beside its service', 'a.timer', two.unit('a.timer').unit(UNIT, '', { machine: 'm1' }), undefined],
    ['timer: service elsewhere', 'a.timer', two.unit('a.timer').unit(UNIT, '', { machine: 'm2' }), there],
    ['socket: service elsewhere', 'a.socket', two.unit('a.socket').unit(UNIT, '', { machine: 'm2' }), there],
    ['path: service elsewhere', 'a.path', two.unit('a.path').unit(UNIT, '', { machine: 'm2' }), there],
    ['may go anywhere before its service does', 'a.timer', two.unit('a.timer').unit(UNIT), undefined],
    ['and without a service', 'a.timer', two.unit('a.timer'), undefined],
    [
      'Unit= of a timer names another service',
      'a.timer',
      two.unit('a.timer', '', { text: named('Timer', 'Unit') }).unit('b.service', '', { machine: 'm2' }),
      { ...there, unit: 'b.service' },
    ],
    [
      'then the service of its name does not matter',
      'a.timer',
      two.unit('a.timer', '', { text: named('Timer', 'Unit') }).unit(UNIT, '', { machine: 'm2' }),
      undefined,
    ],
    [
      'Service= of a socket',
      'a.socket',
      two.unit('a.socket', '', { text: named('Socket', 'Service') }).unit('b.service', '', { machine: 'm2' }),
      { ...there, unit: 'b.service' },
    ],
    [
      'a socket with Accept=yes starts instances of a template: anywhere',
      'a.socket',
      two
        .unit('a.socket', '', { text: '[Socket]\nListenStream=/run/x\nAccept=yes\n' })
        .unit(UNIT, '', { machine: 'm2' }),
      undefined,
    ],
    [
      'a service that asks to be beside its timer comes to it',
      'a.timer',
      two.unit('a.timer').unit(UNIT, 'MachineOf=a.timer', { machine: 'm2' }),
      undefined,
    ],
    [
      'the service may be without its timer',
      UNIT,
      two.unit(UNIT).unit('a.timer', '', { machine: 'm2' }),
      undefined,
    ],
  ])('%s', (_, unit, builder, expected) => {
    expect(against(builder.snapshot(), unit)).toEqual(expected === undefined ? [] : [expected]);
  });
});

describe('the machine itself', () => {
  it.each<readonly [string, ClusterBuilder, readonly Reason[]]>([
    [
      'has a unit of that name from elsewhere',
      cluster().machine('m1', {}, { units: [foreignUnit(UNIT)] }),
      [{ code: 'foreign-unit', path: '/usr/lib/systemd/system/a.service' }],
    ],
    [
      'has masked the name, which systemd 247 shows like this',
      cluster().machine('m1', {}, { units: [foreignUnit(UNIT, { load: 'masked', fragment: '/dev/null' })] }),
      [{ code: 'foreign-unit', path: `${UNIT} (masked)` }],
    ],
    [
      'has a transient unit of that name',
      cluster().machine(
        'm1',
        {},
        {
          units: [foreignUnit(UNIT, { active: 'active', fragment: '/run/systemd/transient/a.service' })],
        },
      ),
      [{ code: 'foreign-unit', path: '/run/systemd/transient/a.service' }],
    ],
    [
      'has another unit from elsewhere',
      cluster().machine('m1', {}, { units: [foreignUnit('b.service')] }),
      [],
    ],
    [
      'was asked for the unit and does not know it',
      cluster().machine('m1', {}, { units: [foreignUnit(UNIT, { load: 'not-found', fragment: '' })] }),
      [],
    ],
    [
      'belongs to another cluster',
      cluster().machine('m1', {}, { cluster: 'other' }),
      [{ code: 'other-cluster', cluster: 'other' }],
    ],
    ['belongs to no cluster yet', cluster().machine('m1', {}, { cluster: undefined }), []],
    ['belongs to this cluster', cluster().machine('m1', {}, { cluster: CLUSTER_ID }), []],
    [
      'is unreachable',
      cluster().unreachable('m1', 12_000),
      [
        {
          code: 'machine-silent',
          silentMs: 12_000,
          message: 'Cannot reach machine "m1"',
          mayBeDown: true,
        },
      ],
    ],
    [
      'became unreachable in the future of a clock that was set back',
      cluster().unreachable('m1', -5000),
      [{ code: 'machine-silent', silentMs: 0, message: 'Cannot reach machine "m1"', mayBeDown: true }],
    ],
  ])('%s', (_, builder, expected) => {
    expect(against(builder.unit(UNIT).snapshot(), UNIT)).toEqual(expected);
  });

  it('belongs to another cluster when this one has no id yet', () => {
    const snapshot = m1().unit(UNIT).snapshot({ clusterId: undefined });
    expect(against(snapshot, UNIT)).toEqual([{ code: 'other-cluster', cluster: CLUSTER_ID }]);
  });

  it.each([
    ['ssh-refused', true],
    ['ssh-timeout', true],
    ['ssh-lost', true],
    ['ssh-name', false],
    ['ssh-host-key', false],
    ['ssh-authentication', false],
    ['remote-script', false],
    ['machine-not-found', false],
  ])('that is unreachable with %s may be down: %j', (code, mayBeDown) => {
    const snapshot = cluster().unreachable('m1', 1000, {}, { code }).unit(UNIT).snapshot();
    expect(against(snapshot, UNIT)).toMatchObject([{ code: 'machine-silent', mayBeDown }]);
  });
});

describe('the order of the rules', () => {
  it('is the documented one, and each rule can be the first', () => {
    // A machine and a unit about which every rule has something to say.
    const everything = (silent: boolean) => {
      const base = silent ? cluster().unreachable('m1', 9000) : foreign;
      return base
        .machine('m2')
        .unit('a.timer', '', {
          text: `[Unit]\nConflicts=e.service\n[Timer]\nOnActiveSec=1h\n[X-Fleet]\nMachineID=deadbeef\nMachineMetadata=role=db\nMachineOf=c.service\nConflicts=d.service g.service\n`,
        })
        .unit('e.service', '', { machine: 'm1' })
        .unit('r.service', 'Replaces=a.timer', { machine: 'm1' })
        .unit('a.service', '', { machine: 'm2' })
        .unit('c.service', '', { machine: 'm2' })
        .unit('d.service', '', { machine: 'm1' })
        .unit('g.service', 'Global=true');
    };
    const foreign = cluster().machine('m1', {}, { cluster: 'other', units: [foreignUnit('a.timer')] });
    const codes = (silent: boolean) =>
      against(everything(silent).snapshot({ cordons: new Map([['m1', 'standard']]) }), 'a.timer').map(
        ({ code }) => code,
      );
    const asked = [
      'machine-id',
      'machine-metadata',
      'machine-of-elsewhere',
      'replaced',
      'triggers-elsewhere',
      'conflict',
      'conflict',
      'unit-conflict',
      'cordoned',
    ];
    expect(codes(false)).toEqual([...asked, 'foreign-unit', 'other-cluster']);
    expect(codes(true)).toEqual([...asked, 'machine-silent']);
    // A unit that goes with its triggers starts none itself.
    const triggered = against(
      cluster()
        .machine('m1')
        .machine('m2')
        .unit('a.service', '', { target: 'loaded' })
        .unit('a.timer', '', { machine: 'm2' })
        .snapshot(),
      'a.service',
    );
    expect(triggered.map(({ code }) => code)).toEqual(['triggered-elsewhere']);
    expect(CONSTRAINTS).toHaveLength(14);
  });
});
