import { describe, expect, it } from 'vitest';
import type { Failure, MachineStep } from '../../src/cluster/failure.ts';
import type { Held } from '../../src/cluster/snapshot.ts';
import type { SystemdState } from '../../src/cluster/unit-state.ts';
import { type FailureText, failureText } from '../../src/output/failure.ts';
import { idOf, type StateName, systemdState } from '../support/builders.ts';

function only(summary: string, hint?: string): FailureText {
  return { summary, lines: [], hint };
}

const STILL = {
  code: 'not-down',
  state: 'active mounted',
  again: false,
  causes: [],
  detail: '',
  journal: [],
} as const;

const LOST =
  'Nothing was changed there. Replace the file with the text of the registry ("fleetctl cat"), and run the command again; or stop the unit and remove the file there';

function heldOn(state: SystemdState): Held {
  return { at: 1, machines: [{ id: idOf('m4'), name: 'm4' }], cause: { kind: 'not-up', state } };
}

/** Failures of every code with their words: a code without any does not compile. */
const WORDS: {
  readonly [Code in Failure['code']]: readonly (readonly [Failure & { code: Code }, FailureText])[];
} = {
  'alias-taken': [
    [
      { code: 'alias-taken', alias: 'www.service', path: '/usr/lib/systemd/system/www.service' },
      only(
        'its Alias=www.service is taken there: /usr/lib/systemd/system/www.service',
        'Remove that Alias= from [Install], or that unit from the machine',
      ),
    ],
  ],
  unrecorded: [
    [
      { code: 'unrecorded', path: '/etc/systemd/system/web.service' },
      only(
        'its record in /var/lib/fleet/units is missing there, and /etc/systemd/system/web.service differs from the registry',
        LOST,
      ),
    ],
    [
      { code: 'unrecorded', path: '' },
      only('its record in /var/lib/fleet/units is missing there, and so is its file', LOST),
    ],
  ],
  'awaits-confirmation': [
    [
      { code: 'awaits-confirmation', leftMs: 12_300 },
      only(
        'its last change there is not confirmed yet (Confirm=); the machine reverts it in 12s',
        'Nothing was changed there. Run the command again after that',
      ),
    ],
    [
      { code: 'awaits-confirmation', leftMs: 0 },
      only(
        'its last change there is not confirmed yet (Confirm=); the machine reverts it now',
        'Nothing was changed there. Run the command again after that',
      ),
    ],
  ],
  unconfirmed: [
    [
      {
        code: 'unconfirmed',
        windowMs: 30_000,
        reverted: 'failed',
        cause: { code: 'not-up', state: systemdState('failed'), detail: '', journal: ['why'] },
      },
      {
        summary:
          'not confirmed, the machine has reverted the change: it did not stay up: failed (failed), result exit-code, exit status 1',
        lines: ['why'],
        hint: undefined,
      },
    ],
    [
      {
        code: 'unconfirmed',
        windowMs: 30_000,
        cause: { code: 'unreachable', message: 'Cannot reach it', hint: 'Look', mayBeDown: true },
      },
      only(
        'not confirmed, the machine reverts the change by itself, 30s after its begin: cannot reach it',
        'Look',
      ),
    ],
    [
      { code: 'unconfirmed', windowMs: 30_000, reverted: 'timeout', cause: undefined },
      only('not confirmed within 30s, the machine has reverted the change'),
    ],
    [
      { code: 'unconfirmed', windowMs: 30_000, reverted: 'reboot', cause: { code: 'unverified' } },
      only('the machine rebooted before it was confirmed (Confirm=30s), and has reverted the change'),
    ],
  ],
  unknown: [
    [
      { code: 'unknown', detail: 'Failed to get properties' },
      only(
        'the machine cannot report whether it runs: "Failed to get properties"',
        'It is left unchanged; "fleetctl stop", "start --replace" and "destroy" do not need its state',
      ),
    ],
  ],
  excluded: [
    [
      {
        code: 'excluded',
        tie: {
          unit: 'b.service',
          declaredBy: 'a.service',
          dependency: { kind: 'Conflicts', unit: 'b.service', source: 'Conflicts=b.service in line 3' },
        },
      },
      only(
        '"b.service" runs there, and systemd never runs both: Conflicts=b.service in line 3 of "a.service"',
        'To start it, stop the other one: fleetctl stop b.service; or place them on different machines',
      ),
    ],
  ],
  held: [
    [
      {
        code: 'held',
        hash: `5d7d29e${'0'.repeat(33)}`,
        held: heldOn(systemdState('failed', { exitStatus: 203 })),
      },
      only(
        'held: text 5d7d29e failed on m4: exit status 203 (1970-01-01 00:00:00 UTC)',
        'Give it another text: fleetctl start --replace UNIT, or fleetctl rollback UNIT; or try this one again: fleetctl start --retry UNIT',
      ),
    ],
    [
      {
        code: 'held',
        hash: `5d7d29e${'0'.repeat(33)}`,
        held: heldOn(systemdState('dead')),
        isFirst: true,
      },
      only(
        'held: text 5d7d29e failed on m4: it did not start: inactive (dead) (1970-01-01 00:00:00 UTC)',
        'Give it another text: fleetctl start --replace UNIT; or try this one again: fleetctl start --retry UNIT',
      ),
    ],
  ],
  unhealthy: [
    [
      { code: 'unhealthy', what: 'command', withinMs: 30_000, lines: ['curl: (7) refused'] },
      {
        summary: 'its HealthExec= did not succeed within 30s',
        lines: ['curl: (7) refused'],
        hint: undefined,
      },
    ],
    [
      { code: 'unhealthy', what: 'restarted', withinMs: 0, lines: [] },
      only('it was restarted or ended within HealthyFor='),
    ],
  ],
  gated: [
    [
      {
        code: 'gated',
        limit: 2,
        down: [
          { unit: 'web@1.service', machine: 'm1', isUnreachable: false },
          { unit: 'web@2.service', machine: '', isUnreachable: false },
        ],
      },
      only(
        'it waits for its text, because web@1.service on m1, web@2.service are not up, and at most 2 of its copies may be down (MaxParallel=2)',
        'fleetd or "fleetctl reconcile" continues when that has changed; to continue now: fleetctl start --max-parallel 3 UNIT',
      ),
    ],
    [
      { code: 'gated', limit: 1, down: [{ unit: 'g.service', machine: 'm2', isUnreachable: true }] },
      only(
        'it waits for its text, because m2 does not answer, and at most 1 of its copies may be down (MaxParallel=1)',
        'fleetd or "fleetctl reconcile" continues when that has changed; to continue now: fleetctl start --max-parallel 2 UNIT',
      ),
    ],
    [
      {
        code: 'gated',
        limit: 1,
        down: [{ unit: 'g.service', machine: 'm2', isUnreachable: false, isUnknown: true }],
      },
      only(
        'it waits for its text, because g.service on m2 is in an unknown state, and at most 1 of its copies may be down (MaxParallel=1)',
        'fleetd or "fleetctl reconcile" continues when that has changed; to continue now: fleetctl start --max-parallel 2 UNIT',
      ),
    ],
    [
      {
        code: 'gated',
        limit: 1,
        down: [{ unit: 'w@1.service', machine: 'm1', isUnreachable: false }],
        ended: {
          unit: 'w@1.service',
          machine: 'm1',
          failure: { code: 'step', step: 'write', detail: 'cannot create: Operation not permitted' },
        },
      },
      only(
        'it waits for its text, because the rollout ended at w@1.service on m1: could not write the unit file: "cannot create: Operation not permitted"',
        'fleetd or "fleetctl reconcile" continues when that has changed; to continue without w@1.service: fleetctl start UNIT',
      ),
    ],
    [
      {
        code: 'gated',
        limit: 1,
        down: [{ unit: 'w@1.service', machine: 'm1', isUnreachable: false }],
        ended: { unit: 'w@1.service', machine: 'm1', failure: undefined },
      },
      only(
        'it waits for its text, because the start of w@1.service on m1 was not waited for',
        'To continue: fleetctl start UNIT',
      ),
    ],
    [
      {
        code: 'gated',
        limit: 1,
        down: [
          { unit: 'g.service', machine: 'm2', isUnreachable: true },
          { unit: 'g.service', machine: 'm3', isUnreachable: true },
          { unit: 'g.service', machine: 'm4', isUnreachable: false },
        ],
      },
      only(
        'it waits for its text, because m2, m3 do not answer, g.service on m4 is not up, and at most 1 of its copies may be down (MaxParallel=1)',
        'fleetd or "fleetctl reconcile" continues when that has changed; to continue now: fleetctl start --max-parallel 4 UNIT',
      ),
    ],
  ],
  waits: [
    [
      { code: 'waits', unit: 'b.service' },
      only('"b.service" has to leave the machine first, but it is still there', 'Run the command again'),
    ],
  ],
  fenced: [
    [
      { code: 'fenced', reason: { code: 'no-lease' } },
      only(
        'it is not started, because it has no lease: Fenced=true needs a running fleetd',
        'Check that a controller runs: systemctl status fleetd',
      ),
    ],
  ],
  foreign: [
    [
      { code: 'foreign', path: '/etc/systemd/system/a.service' },
      only(
        'the machine has a unit of that name that fleet did not install: /etc/systemd/system/a.service',
        'Rename your unit, or remove that one from the machine',
      ),
    ],
    [
      { code: 'foreign', path: '' },
      only(
        'the machine has a unit of that name that fleet did not install',
        'Rename your unit, or remove that one from the machine',
      ),
    ],
  ],
  stale: [
    [
      { code: 'stale', token: 5, seen: 7 },
      only(
        'a newer decision about it was made meanwhile (revision 7, this one is 5)',
        'To see its present state: fleetctl list-unit-files',
      ),
    ],
  ],
  overtaken: [
    [
      { code: 'overtaken', token: 7, seen: 6 },
      only(
        'it was changed there meanwhile, by revision 6; this is revision 7',
        'Nothing was changed there. Run the command again',
      ),
    ],
  ],
  'other-cluster': [
    [
      { code: 'other-cluster', cluster: 'c2' },
      only(
        'the machine belongs to another cluster: "c2"',
        'If that cluster is yours and its registry was lost: fleetctl help recover; if it is gone, run "rm /var/lib/fleet/cluster" on the machine; else remove the machine: fleetctl machines remove',
      ),
    ],
  ],
  tools: [
    [{ code: 'tools', tools: ['flock'] }, only('the machine lacks flock', 'Install util-linux there')],
    [
      { code: 'tools', tools: ['flock', 'sha256sum'] },
      only('the machine lacks flock and sha256sum', 'Install util-linux and coreutils there'),
    ],
  ],
  locked: [
    [{ code: 'locked' }, only('another fleetctl is busy on the machine', 'Try again when it has finished')],
    [
      { code: 'locked', holder: { pid: 12, user: 'root', command: 'sh' } },
      only('another fleetctl is busy on the machine: process 12 (sh)', 'Try again when it has finished'),
    ],
    [
      { code: 'locked', holder: { pid: 12, user: 'alice', command: 'sleep' } },
      only('process 12 (sleep) of user "alice" holds the lock of the machine', 'Terminate it there: kill 12'),
    ],
  ],
  step: [
    [
      {
        code: 'step',
        step: 'write',
        detail: 'warning: x\nsh: 1: cannot create a.service: No space left on device',
      },
      {
        summary: 'could not write the unit file',
        lines: ['warning: x', 'sh: 1: cannot create a.service: No space left on device'],
        hint: 'Make room there: df -h; if that shows free space, check the inodes: df -i',
      },
    ],
    [{ code: 'step', step: 'reload', detail: '' }, only('systemd could not reload its unit files')],
  ],
  'not-down': [
    [
      { ...STILL, causes: [], journal: ['umount: /mnt: target is busy.'] },
      {
        summary: 'could not stop it: it is still active (mounted)',
        lines: ['umount: /mnt: target is busy.'],
        hint: undefined,
      },
    ],
    [
      {
        ...STILL,
        detail:
          'Failed to stop a.service: Operation refused, unit a.service may be requested by dependency only.',
      },
      {
        summary: 'could not stop it: it is still active (mounted)',
        lines: [
          'Failed to stop a.service: Operation refused, unit a.service may be requested by dependency only.',
        ],
        hint: 'It has RefuseManualStop=yes: stop what requires it, or set that to no on the machine ("systemctl edit --runtime UNIT"), and try again',
      },
    ],
    [
      {
        ...STILL,
        again: true,
        causes: [
          { relation: 'UpheldBy', unit: 'b.service' },
          { relation: 'TriggeredBy', unit: 'a.path' },
        ],
      },
      only(
        'it was stopped and started again: b.service upholds it (Upholds=), a.path triggers it',
        'Stop b.service and a.path first',
      ),
    ],
    [
      { ...STILL, again: true, state: 'job start' },
      only('it was stopped and started again: it has a start job'),
    ],
  ],
  queued: [
    [
      { code: 'queued', waitsFor: ['a.service/start', 'b.mount/start'] },
      only(
        'its start job waits in systemd for a.service/start and b.mount/start',
        'It continues there; to see the result: fleetctl list-units',
      ),
    ],
    [
      { code: 'queued', waitsFor: [] },
      only(
        'its start job is queued in systemd',
        'It continues there; to see the result: fleetctl list-units',
      ),
    ],
  ],
  unverified: [
    [
      { code: 'unverified' },
      only('the machine did not report the result', 'To see its state: fleetctl list-units'),
    ],
  ],
  'not-up': [
    [
      {
        code: 'not-up',
        state: systemdState('failed'),
        detail: 'Job for a.service failed.',
        journal: ['first', 'last'],
      },
      {
        summary: 'it did not stay up: failed (failed), result exit-code, exit status 1',
        lines: ['Job for a.service failed.', 'first', 'last'],
        hint: undefined,
      },
    ],
    [
      { code: 'not-up', state: systemdState('failed'), detail: '', journal: [] },
      only('it did not stay up: failed (failed), result exit-code, exit status 1'),
    ],
  ],
  unreachable: [
    [
      {
        code: 'unreachable',
        message: 'Cannot reach machine "m1" (10.0.0.1:22): no answer',
        hint: 'Check it',
        mayBeDown: true,
      },
      only('cannot reach machine "m1" (10.0.0.1:22): no answer', 'Check it'),
    ],
    [
      { code: 'unreachable', message: 'Lost machine "m1"', hint: undefined, mayBeDown: true },
      only('lost machine "m1"'),
    ],
  ],
};

describe('a failure in words', () => {
  it.each<readonly [Failure, FailureText]>(Object.values(WORDS).flat())('%o', (failure, expected) => {
    expect(failureText(failure)).toEqual(expected);
  });
});

it('a failure of a newer program is shown as its code', () => {
  expect(failureText({ code: 'of-a-newer-program' } as unknown as Failure)).toEqual(
    only('of-a-newer-program'),
  );
});

it.each([undefined, 'units'])('the hint about a held text names the unit (%s)', (folder) => {
  const failure = { code: 'held', hash: '5d7d29e', held: heldOn(systemdState('failed')) } as const;
  const { hint } = failureText(failure, { unit: 'web.service', folder });
  expect(hint).toMatch(/fleetctl start --retry web\.service$/);
});

it('the hint about a unit that waits for others names the command that continues', () => {
  const down = [{ unit: 'web@1.service', machine: 'm2', isUnreachable: true }];
  const hintOf = (folder?: string): string | undefined =>
    failureText({ code: 'gated', limit: 1, down }, { unit: 'web@2.service', folder }).hint;
  expect([hintOf(), hintOf('--set web units')]).toEqual([
    expect.stringMatching(/: fleetctl start --max-parallel 2 web@2\.service$/),
    expect.stringMatching(/: fleetctl apply --max-parallel 2 --set web units$/),
  ]);
});

it('the hints of apply name its own options', () => {
  const held = heldOn(systemdState('failed'));
  const down = [{ unit: 'g.service', machine: 'm2', isUnreachable: true }];
  const failures: readonly Failure[] = [
    { code: 'held', hash: '5d7d29e', held },
    { code: 'gated', limit: 1, down },
    {
      code: 'unconfirmed',
      windowMs: 30_000,
      reverted: 'failed',
      cause: { code: 'held', hash: '5d7d29e', held },
    },
  ];
  expect(failures.map((failure) => failureText(failure, { unit: 'UNIT', folder: 'units' }).hint)).toEqual([
    'Correct its file; or try this one again: fleetctl start --retry UNIT',
    'fleetd or "fleetctl reconcile" continues when that has changed; to continue now: fleetctl apply --max-parallel 2 units',
    'Correct its file; or try this one again: fleetctl start --retry UNIT',
  ]);
});

it('a unit that was not started because of a required one names that', () => {
  const failure = { code: 'not-up', state: systemdState('dead'), detail: '', journal: ['x'] } as const;
  expect(failureText({ ...failure, required: ['a.service', 'b.service'] })).toEqual({
    summary: 'it was not started, because a.service and b.service have failed, which it requires',
    lines: ['x'],
    hint: 'Its text was not run, so it is not held: when a.service and b.service can start, fleetd or "fleetctl reconcile" starts it',
  });
});

describe('a step that failed', () => {
  it.each([
    '/var/lib/fleet/units/a.service is a directory',
    '/var/lib/fleet/removed/a.service is no file',
    '/etc/systemd/system/a.service.d is no directory',
    '/run/fleet/lock is not a file of root',
  ])('because of what is in the way names the command that helps: %s', (detail) => {
    const path = detail.split(' ')[0];
    expect(failureText({ code: 'step', step: 'install', detail })).toEqual(
      only(
        `something is in the way: "${detail}"`,
        `Move it away there: mv ${path} /var/tmp/; and run the command again`,
      ),
    );
  });

  it('after the stop still says that the unit is stopped', () => {
    const detail = '/etc/systemd/system/a.service: Is a directory';
    expect(failureText({ code: 'step', step: 'rewrite', detail })).toEqual(
      only(
        `it is stopped, but its new unit file could not be written: "${detail}"`,
        'Move it away there: mv /etc/systemd/system/a.service /var/tmp/; and run the command again',
      ),
    );
  });

  it.each([
    ['/etc/systemd/system: Operation not permitted', '/etc/systemd/system'],
    ["rm: cannot remove './a.service': Operation not permitted", 'PATH'],
  ])('on an immutable file or folder says so: %s', (detail, path) => {
    expect(failureText({ code: 'step', step: 'prepare', detail }).hint).toBe(
      `If "lsattr -d ${path}" there shows the attribute i, it is immutable, and "chattr -i ${path}" ends that`,
    );
  });

  const ROOT = 'The user needs root rights there, and /etc, /var/lib and /run must be writable';
  const sentences: { readonly [step in MachineStep]: readonly [string, string?] } = {
    prepare: ['could not prepare the folders of fleet', ROOT],
    lock: ['could not take the lock of the machine', ROOT],
    cluster: ['could not record the cluster of the machine'],
    write: ['could not write the unit file'],
    rewrite: ['it is stopped, but its new unit file could not be written'],
    flush: ['could not write the new files to disk'],
    arm: ['could not arm the revert that Confirm= asks for, so nothing was changed'],
    stop: ['could not stop it'],
    install: ['could not put the unit file in place'],
    remove: ['could not remove the unit file'],
    forbid: ['it may be running there, so it is not started elsewhere'],
    reload: ['systemd could not reload its unit files'],
  };
  it.each(Object.entries(sentences))('%s', (step, [summary, hint]) => {
    const failure: Failure = { code: 'step', step: step as MachineStep, detail: 'said' };
    expect(failureText(failure)).toEqual(only(`${summary}: "said"`, hint));
  });
});

describe('a unit that is not up', () => {
  it.each<readonly [StateName, Partial<SystemdState>, string]>([
    ['failed', {}, 'it did not stay up: failed (failed), result exit-code, exit status 1'],
    [
      'failed',
      { result: 'signal', exitCode: 2, exitStatus: 9 },
      'it did not stay up: failed (failed), result signal, signal 9',
    ],
    [
      'failed',
      { result: 'core-dump', exitCode: 3, exitStatus: 11 },
      'it did not stay up: failed (failed), result core-dump, signal 11',
    ],
    ['failed', { result: 'timeout', exitCode: 0 }, 'it did not stay up: failed (failed), result timeout'],
    [
      'failed',
      { restarts: 5 },
      'it did not stay up: failed (failed), result exit-code, exit status 1, 5 restarts',
    ],
    [
      'restarting',
      { restarts: 1 },
      'it did not stay up: activating (auto-restart), result exit-code, exit status 1, 1 restart',
    ],
    [
      'restarting',
      { sub: 'auto-restart-queued', restarts: 2 },
      'it did not stay up: activating (auto-restart-queued), result exit-code, exit status 1, 2 restarts',
    ],
    ['running', { restarts: 1 }, 'it did not stay up: active (running), result success, 1 restart'],
    [
      'dead',
      { exitCode: 1, invocation: 'a' },
      'it ended right after its start: inactive (dead), exit status 0',
    ],
    ['dead', {}, 'it did not start: inactive (dead)'],
    ['starting', {}, 'it is still starting: activating (start)'],
    ['starting', { sub: 'start-pre' }, 'it is still starting: activating (start-pre)'],
    [
      'dead',
      { load: 'bad-setting', loadError: 'Unit a.service has a bad unit file setting.' },
      'systemd refuses it: "Unit a.service has a bad unit file setting."',
    ],
    ['dead', { load: 'error' }, 'systemd refuses it: error'],
    [
      'dead',
      { load: 'masked', loadError: 'Unit a.service is masked.' },
      'systemd refuses it: "Unit a.service is masked."',
    ],
    [
      'unknown',
      { loadError: 'Unit a.service not found.' },
      'systemd refuses it: "Unit a.service not found."',
    ],
  ])('%s %o', (name, changes, summary) => {
    const state = systemdState(name, changes);
    const text = failureText({ code: 'not-up', state, detail: '', journal: [] });
    expect(text.summary).toBe(summary);
    const hint = 'It continues there; to see the result: fleetctl list-units';
    const unmask = 'Run "systemctl unmask" for it there, and run the command again';
    expect(text.hint).toBe(
      'load' in changes && changes.load === 'masked' ? unmask : name === 'starting' ? hint : undefined,
    );
  });
});
