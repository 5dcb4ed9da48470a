import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { MachineRef } from '../../src/operations/listing.ts';
import type { RequestResult, UnitResult } from '../../src/operations/unit-result.ts';
import { errorLines, unreachableLines } from '../../src/output/report.ts';
import type { UnitVerb } from '../../src/output/request-failures.ts';
import { dryRunReport, requestReport } from '../../src/output/request-report.ts';
import type { MachinePlan } from '../../src/plan/step.ts';
import type { Stay } from '../../src/schedule/decision.ts';
import { desiredUnit, recordOf, systemdState } from '../support/builders.ts';

const M1: MachineRef = { name: 'm1', id: '148a18ff6e954cd892dac9de9bb90d5a', address: '10.0.0.1' };
const M2: MachineRef = { name: 'm2', id: 'f614ea2e6e954cd892dac9de9bb90d5a', address: '10.0.0.2' };

function result(changes: Partial<UnitResult> = {}): UnitResult {
  return {
    unit: 'a.service',
    target: 'launched',
    global: false,
    machines: [],
    triggered: [],
    triggers: [],
    ran: [],
    outdated: [],
    eligible: 0,
    failures: [],
    violation: undefined,
    unschedulable: false,
    rejected: [],
    ...changes,
  };
}

const HELD: Stay = {
  code: 'held',
  hash: '5d7d29e00',
  held: {
    at: 1,
    machines: [{ id: M2.id ?? '', name: 'm2' }],
    cause: { kind: 'not-up', state: systemdState('failed') },
  },
};

/** Two machines refuse it, and the rules of its file exclude a third one. */
const REFUSALS: UnitResult['rejected'] = [
  { machine: 'm2', reason: { code: 'foreign-unit', path: '/etc/systemd/system/a.service' } },
  { machine: 'm3', reason: { code: 'other-cluster', cluster: 'x' } },
  { machine: 'm4', reason: { code: 'cordoned' } },
];

const LAUNCHED_ON_M1 = { machines: [M1], eligible: 2 };

describe('what --no-block did not wait for', () => {
  it.each<readonly [string, Partial<UnitResult>, readonly string[]]>([
    ['start', { triggered: [M1] }, ['Triggered unit a.service start on 148a18ff.../10.0.0.1']],
    [
      'stop',
      { triggered: [M1], target: 'loaded' },
      ['Triggered unit a.service stop on 148a18ff.../10.0.0.1'],
    ],
    [
      'of a global unit',
      { triggered: [M1, M2], eligible: 2, global: true },
      ['Triggered global unit a.service start on 2 of 2 machines'],
    ],
    [
      'beside what holds already',
      { ...LAUNCHED_ON_M1, triggered: [M2], global: true },
      [
        'Triggered global unit a.service start on 1 of 2 machines',
        'Unit a.service launched on 1 of 2 machines',
      ],
    ],
    [
      'beside machines that refuse it',
      { machines: [M1], eligible: 1, global: true, rejected: REFUSALS },
      ['Unit a.service launched on 1 of 3 machines; 2 refused it'],
    ],
  ])('%s', (_, changes, out) => {
    expect(report(changes.target === 'loaded' ? 'stop' : 'start', changes)).toEqual({ out, err: [] });
  });
});

function request(changes: Partial<RequestResult> = {}): RequestResult {
  return { results: [], problems: [], differing: [], plans: [], unreachable: [], ...changes };
}

/** The lines about one unit. */
function report(verb: UnitVerb, changes: Partial<UnitResult>) {
  return requestReport(verb, request({ results: [result(changes)] }));
}

const failed = {
  machine: M1,
  failure: { code: 'not-up', state: systemdState('failed'), detail: '', journal: ['last words'] },
} as const;
const silent = {
  machine: M2,
  failure: {
    code: 'unreachable',
    message: 'Cannot reach machine "m2" (10.0.0.2:22): no answer',
    hint: 'Check it',
    mayBeDown: true,
  },
} as const;

describe('what holds', () => {
  it.each<readonly [UnitVerb, Partial<UnitResult>, readonly string[]]>([
    ['start', { machines: [M1], eligible: 1 }, ['Unit a.service launched on 148a18ff.../10.0.0.1']],
    ['load', { target: 'loaded', machines: [M1] }, ['Unit a.service loaded on 148a18ff.../10.0.0.1']],
    ['load', { machines: [M1] }, ['Unit a.service launched on 148a18ff.../10.0.0.1']],
    ['stop', { target: 'loaded', machines: [M1] }, ['Unit a.service loaded on 148a18ff.../10.0.0.1']],
    ['unload', { target: 'inactive' }, ['Unit a.service inactive']],
    ['destroy', { target: 'inactive' }, ['Destroyed a.service']],
    [
      'start',
      { global: true, machines: [M1, M2], eligible: 2 },
      ['Unit a.service launched on 2 of 2 machines'],
    ],
    [
      'stop',
      { global: true, target: 'loaded', machines: [M1], eligible: 1 },
      ['Unit a.service loaded on 1 of 1 machines'],
    ],
    ['unload', { global: true, target: 'inactive' }, ['Unit a.service inactive']],
  ])('%s %o', (verb, changes, lines) => {
    expect(report(verb, changes)).toEqual({ out: lines, err: [] });
  });
});

it('a new unit is not called inactive if it is to be on a machine', () => {
  const created = new Set(['a.service', 'b.service']);
  const { out } = requestReport('submit', request({ created, results: [result(LAUNCHED_ON_M1)] }));
  expect(out).toEqual(['Unit b.service inactive', 'Unit a.service launched on 148a18ff.../10.0.0.1']);
});

describe('what does not hold', () => {
  it('a unit that fits nowhere for machines that refuse us says once what to do about that', () => {
    const reason = { code: 'machine-silent', silentMs: 0, message: 'no key', mayBeDown: false } as const;
    const hint = 'Run "ssh-add"';
    const rejected = ['m1', 'm2'].map((machine) => ({ machine, reason: { ...reason, hint } }));
    expect(report('start', { unschedulable: true, rejected }).err).toEqual([
      'Error: Cannot place unit "a.service": no machine fits',
      '  m1: the machine cannot be used: no key',
      '  m2: the machine cannot be used: no key',
      'hint: Run "ssh-add"',
      'hint: It stays launched in the registry; run the command again when a machine fits',
    ]);
  });

  it('a unit that is not up: why, its last words, and no success', () => {
    expect(report('start', { failures: [failed] })).toEqual({
      out: [],
      err: [
        'Error: Cannot start unit "a.service" on machine "m1" (10.0.0.1): it did not stay up: failed (failed), result exit-code, exit status 1',
        '  last words',
      ],
    });
  });

  it('a machine that did not answer is named once, and the hint has its own line', () => {
    expect(report('stop', { target: 'loaded', failures: [silent] })).toEqual({
      out: [],
      err: [
        'Error: Cannot stop unit "a.service": cannot reach machine "m2" (10.0.0.2:22): no answer',
        'hint: Check it',
        'hint: Its target state loaded is stored: fleetd or "fleetctl reconcile" applies it when the machine answers',
      ],
    });
  });

  it('a stop on a machine whose folders cannot be written says that the target state is stored', () => {
    const failure = { code: 'step', step: 'prepare', detail: '/etc: Read-only file system' } as const;
    expect(report('stop', { target: 'loaded', failures: [{ ...failed, failure }] }).err).toEqual([
      'Error: Cannot stop unit "a.service" on machine "m1" (10.0.0.1): could not prepare the folders of fleet: "/etc: Read-only file system"',
      'hint: The user needs root rights there, and /etc, /var/lib and /run must be writable',
      'hint: Its target state loaded is stored: fleetd or "fleetctl reconcile" applies it when the machine can be used',
    ]);
  });

  it('a second stop whose new text does not fit on the disk does not say that the unit runs', () => {
    const failure = { code: 'step', step: 'write', detail: 'No space left on device' } as const;
    expect(report('stop', { target: 'loaded', failures: [{ ...failed, failure }] }).err[0]).toMatch(
      /^Error: Cannot update unit "a\.service" on machine "m1" .*: could not write the unit file/,
    );
  });

  it.each<UnitVerb>(['unload', 'destroy'])('%s says what to do about a machine that is gone', (verb) => {
    const { out, err } = report(verb, { target: 'inactive', failures: [silent] });
    expect(out).toEqual([]);
    expect(err.slice(1)).toEqual([
      'hint: Check it',
      'hint: Its target state inactive is stored: fleetd or "fleetctl reconcile" applies it when the machine answers',
      'hint: If the machine is permanently gone, run "fleetctl machines remove m2 --lost", and try again',
    ]);
  });

  it.each<UnitVerb>(['unload', 'destroy'])(
    '%s takes no machine for gone that is up and cannot be used',
    (verb) => {
      const failures = [{ ...silent, failure: { ...silent.failure, mayBeDown: false } }];
      expect(report(verb, { target: 'inactive', failures }).err.slice(1)).toEqual([
        'hint: Check it',
        'hint: Its target state inactive is stored: fleetd or "fleetctl reconcile" applies it when the machine can be used',
      ]);
    },
  );

  it.each<readonly [UnitVerb, Partial<UnitResult>]>([
    ['restart', {}],
    ['start', { target: 'loaded', triggers: ['a.timer'] }],
    ['stop', { target: 'loaded', triggers: ['a.timer'] }],
  ])('%s of %o on a machine that did not answer stores nothing', (verb, changes) => {
    expect(report(verb, { ...changes, failures: [silent] }).err.slice(2)).toEqual([
      'hint: Run the command again when the machine answers',
    ]);
  });

  it('a dry run stores nothing on a machine that did not answer', () => {
    const results = [result({ target: 'loaded', failures: [silent] })];
    expect(dryRunReport('stop', request({ results })).err.at(-1)).toBe(
      'hint: Its target state loaded would be stored: fleetd or "fleetctl reconcile" applies it when the machine answers',
    );
  });

  it('a unit that no machine fits: every machine with its rule', () => {
    const rejected = [
      { machine: 'm1', reason: { code: 'machine-metadata', key: 'role', wanted: ['db'], actual: 'web' } },
      {
        machine: 'm2',
        reason: { code: 'machine-silent', silentMs: 0, message: 'no answer', mayBeDown: true },
      },
    ] as const;
    expect(report('start', { unschedulable: true, rejected })).toEqual({
      out: [],
      err: [
        'Error: Cannot place unit "a.service": no machine fits',
        '  m1: MachineMetadata= requires role=db, and the machine has role=web',
        '  m2: the machine does not answer: no answer',
        'hint: It stays launched in the registry; run the command again when a machine fits',
      ],
    });
  });

  it('a global unit that no machine fits is launched on no machines', () => {
    const { out, err } = report('start', { global: true });
    expect(out).toEqual([]);
    expect(err[0]).toBe('Error: Cannot place unit "a.service": no machine fits');
  });

  it('a global unit that fails on some machines holds on the others', () => {
    const { out, err } = report('start', { global: true, machines: [M2], eligible: 2, failures: [failed] });
    expect(out).toEqual(['Unit a.service launched on 1 of 2 machines']);
    expect(err).toHaveLength(2);
  });

  it('a global unit that fails on all machines holds nowhere, and nothing says that it does', () => {
    expect(report('start', { global: true, eligible: 1, failures: [failed] }).out).toEqual([]);
  });

  it('a global unit that is silent somewhere', () => {
    const { out, err } = report('start', { global: true, machines: [M1], eligible: 2, failures: [silent] });
    expect(out).toEqual(['Unit a.service launched on 1 of 2 machines']);
    expect(err[0]).toMatch(/^Error: Cannot start unit "a.service": cannot reach machine "m2"/);
  });

  it('a copy that could not be stopped where the unit left', () => {
    const stuck = {
      machine: M2,
      failure: { code: 'step', step: 'stop', detail: 'it is still active' },
    } as const;
    expect(report('start', { machines: [M1], failures: [stuck] })).toEqual({
      out: ['Unit a.service launched on 148a18ff.../10.0.0.1'],
      err: [
        'Error: Cannot start unit "a.service" on machine "m2" (10.0.0.2): could not stop it: "it is still active"',
      ],
    });
  });
});

describe('a unit that stays although', () => {
  const violation = {
    code: 'machine-silent',
    silentMs: 12_000,
    message: 'no answer',
    mayBeDown: true,
  } as const;

  const noOther = { code: 'no-other' } as const;

  it.each<readonly [Stay, readonly string[]]>([
    [
      { code: 'may-return' },
      ['hint: It moves when the machine has been unreachable for agent_ttl (12s so far)'],
    ],
    [{ code: 'is-up' }, []],
    [noOther, ['hint: It does not move, because no other machine fits']],
    [{ code: 'cut-off' }, ['hint: It does not move, because too many machines are unreachable']],
  ])('its machine is silent: whether it will move (%o)', (stays, hints) => {
    expect(report('start', { failures: [silent], violation, stays }).err.slice(3)).toEqual(hints);
  });

  it('its machine is silent, and its first text is held: what to do, and not that the machine decides', () => {
    expect(report('start', { failures: [silent], violation, stays: HELD }).err.slice(2)).toEqual([
      'hint: It does not move, because text 5d7d29e is held, and there is no older one',
      'hint: Give it another text: fleetctl start --replace a.service; or try this one again: fleetctl start --retry a.service',
    ]);
    const stopped = report('stop', { target: 'loaded', failures: [silent], violation, stays: HELD });
    expect(stopped.err).toContainEqual(expect.stringContaining('Its target state loaded is stored'));
  });

  it('its machine has left fleet.conf', () => {
    const gone = { code: 'machine-removed', machine: 'a'.repeat(32) } as const;
    const stays = (why: Stay): readonly string[] =>
      report('stop', { machines: [], violation: gone, stays: why }).err;
    expect(stays(noOther)).toEqual([
      'Warning: unit "a.service" stays assigned to a machine that is not in the cluster any more, because no other machine fits',
    ]);
    expect(stays(HELD)).toEqual([
      'Warning: unit "a.service" stays assigned to a machine that is not in the cluster any more, because text 5d7d29e is held, and there is no older one',
      expect.stringMatching(/^hint: Give it another text: .*--retry a\.service$/),
    ]);
  });

  it('a rule speaks against its machine', () => {
    const rule = { code: 'machine-metadata', key: 'role', wanted: ['db'], actual: undefined } as const;
    expect(report('start', { machines: [M1], violation: rule, stays: noOther })).toEqual({
      out: ['Unit a.service launched on 148a18ff.../10.0.0.1'],
      err: [
        'Warning: unit "a.service" stays on a machine that does not fit, because no other machine fits: MachineMetadata= requires role=db, and the machine has no role',
      ],
    });
  });
});

describe('a request over several units', () => {
  it('says all that holds on one stream, and all that does not on the other', () => {
    const mixed = request({
      results: [
        result({ machines: [M1] }),
        result({ unit: 'b.service', failures: [failed] }),
        result({ unit: 'c.service', unschedulable: true }),
        result({ unit: 'd.service', machines: [M2] }),
      ],
      problems: [
        {
          unit: 'e.service',
          error: new FleetError('unit-not-found', 'Cannot find unit "e.service"', { hint: 'Look' }),
        },
      ],
      differing: [{ unit: 'a.service', path: '/x/a.service', registryText: 'a', fileText: 'b' }],
    });
    expect(requestReport('start', mixed)).toEqual({
      out: [
        'Unit a.service launched on 148a18ff.../10.0.0.1',
        'Unit d.service launched on f614ea2e.../10.0.0.2',
      ],
      err: [
        'Warning: unit "a.service" in the registry differs from file "/x/a.service"; the text of the registry is used',
        'hint: Add --replace to use the file',
        'Error: Cannot start unit "b.service" on machine "m1" (10.0.0.1): it did not stay up: failed (failed), result exit-code, exit status 1',
        '  last words',
        'Error: Cannot place unit "c.service": no machine fits',
        'hint: It stays launched in the registry; run the command again when a machine fits',
        'Error: Cannot find unit "e.service"',
        'hint: Look',
      ],
    });
  });

  it('of nothing says nothing', () => {
    expect(requestReport('start', request())).toEqual({ out: [], err: [] });
  });
});

describe('a dry run', () => {
  it('of a unit that fits nowhere promises nothing about the registry', () => {
    const nowhere = result({ unschedulable: true });
    expect(dryRunReport('start', request({ results: [nowhere] })).err).toEqual([
      'Error: Cannot place unit "a.service": no machine fits',
      'hint: It would be launched in the registry, and on no machine',
    ]);
  });

  const unit = desiredUnit('a.service');
  const change = { token: 1, obstacle: undefined };
  const plans: readonly MachinePlan[] = [
    {
      machine: 'm1',
      changes: [
        {
          ...change,
          unit: 'a.service',
          steps: [
            { kind: 'stop' },
            { kind: 'write', text: unit.text },
            { kind: 'record', record: recordOf(unit), links: [] },
            { kind: 'start' },
          ],
        },
        { ...change, unit: 'b.service', steps: [{ kind: 'stop' }, { kind: 'remove' }] },
        { ...change, unit: 'c.service', steps: [], obstacle: { code: 'foreign', path: '/x' } },
      ],
    },
    {
      machine: 'm2',
      changes: [{ ...change, unit: 'b.service', steps: [{ kind: 'stop' }, { kind: 'remove' }] }],
    },
  ];

  it('shows the steps of every machine in the order in which they are taken', () => {
    expect(dryRunReport('start', request({ plans })).out).toEqual([
      'm1: write the unit file of a.service',
      'm1: stop a.service',
      'm1: stop b.service',
      'm1: record a.service',
      'm1: remove b.service',
      'm1: start a.service',
      'm2: stop b.service',
      'm2: remove b.service',
    ]);
  });

  it('that can do nothing says why', () => {
    const { out, err } = dryRunReport('start', request({ results: [result({ unschedulable: true })] }));
    expect(out).toEqual([]);
    expect(err[0]).toBe('Error: Cannot place unit "a.service": no machine fits');
  });

  it('does not say that anything holds', () => {
    expect(
      dryRunReport('start', request({ plans, results: [result({ machines: [M1] })] })).out,
    ).not.toContain('Unit a.service launched on 148a18ff.../10.0.0.1');
  });
});

describe('errors and warnings', () => {
  it('an error without a hint is one line', () => {
    expect(errorLines(new FleetError('usage', 'Cannot do "x"'))).toEqual(['Error: Cannot do "x"']);
    expect(errorLines(new FleetError('usage', 'no "x"'))).toEqual(['Error: No "x"']);
    expect(errorLines(new FleetError('config', 'etcd_user is alone'))).toEqual(['Error: etcd_user is alone']);
  });

  it('a listing names every machine it says nothing about, and each hint once', () => {
    const machine = M1;
    expect(
      unreachableLines([
        { machine, message: 'Cannot reach machine "m1"', hint: 'Check it', silentMs: 999 },
        { machine, message: 'Cannot reach machine "m2"', hint: 'Check it', silentMs: 172_801_000 },
        { machine, message: 'Machine "m3" belongs to another cluster: x', hint: undefined, silentMs: 0 },
      ]),
    ).toEqual([
      'Warning: Cannot reach machine "m1"; the state of its units is unknown',
      'Warning: Cannot reach machine "m2" (unreachable for 48h); the state of its units is unknown',
      'Warning: Machine "m3" belongs to another cluster: x; the state of its units is unknown',
      'hint: Check it',
    ]);
    expect(unreachableLines([])).toEqual([]);
  });
});
