import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { Failure } from '../../src/cluster/failure.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import type { Section } from '../../src/systemd/frame.ts';
import { readObservation } from '../../src/systemd/observation.ts';
import { changedUnits } from '../../src/systemd/read-evidence.ts';
import { readOutcomes } from '../../src/systemd/read-outcomes.ts';
import { writeRecord } from '../../src/systemd/record.ts';
import { changes, recordOf } from './changes.ts';

const ID = '148a18ff6e954cd892dac9de9bb90d5a';
const FACTS = `machine-id ${ID}\nboot-id b0b0\nuptime 12.34\ncluster 5f0c`;
const WEB = 'web.service';

const section = (name: string, stdout = '', status = 0, stderr = ''): Section => ({
  name,
  status,
  stdout,
  stderr,
});

const ASKED = { names: [], digests: false };
const NO_RECORDS = [section('records'), section('recorded')];

/** What systemctl shows of a unit that runs. */
const shown = (unit: string, changed: Readonly<Record<string, string>> = {}): string =>
  Object.entries({
    Id: unit,
    LoadState: 'loaded',
    ActiveState: 'active',
    SubState: 'running',
    NRestarts: '0',
    InvocationID: 'i1',
    ...changed,
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');

describe('an observation', () => {
  it('has the facts, and every unit with its record and digest', () => {
    const record = recordOf(WEB, 'text', 3, 'launched');
    const observation = readObservation('web-1', { names: [], digests: true }, [
      section('facts', FACTS),
      section('records', writeRecord(record)),
      section('recorded', WEB),
      section('digests', `${'d'.repeat(64)}  ${WEB}\n`),
      section('links'),
      section('units', `${shown(WEB)}\n${shown('ssh.service')}`),
    ]);
    expect(observation).toMatchObject({ id: ID, cluster: '5f0c', bootId: 'b0b0', uptimeSeconds: 12.34 });
    expect(observation.units.map(({ name, record: noted, digest }) => [name, noted, digest])).toEqual([
      [WEB, record, 'd'.repeat(64)],
      ['ssh.service', undefined, undefined],
    ]);
  });

  it('of a machine with nothing on it has no units and no cluster', () => {
    const facts = section('facts', `machine-id ${ID}\nboot-id b0b0\nuptime 12.34`);
    const observation = readObservation('web-1', ASKED, [facts, ...NO_RECORDS]);
    const none = { cluster: undefined, units: [] };
    expect(observation).toEqual({ id: ID, bootId: 'b0b0', uptimeSeconds: 12.34, ...none });
  });

  it.each([
    [
      'all it can',
      'load 0.10 0.22 12.31\nmemory 4096 1024\nsystemd 252',
      {
        systemd: '252',
        loadAverage: [0.1, 0.22, 12.31],
        memory: { totalBytes: 4194304, availableBytes: 1048576 },
      },
    ],
    ['nothing', '', { systemd: undefined, loadAverage: undefined, memory: undefined }],
    [
      'no number of its systemd',
      'systemd ',
      { systemd: undefined, loadAverage: undefined, memory: undefined },
    ],
  ])('has how busy a machine is that tells %s', (_, text, vitals) => {
    const observation = readObservation('web-1', ASKED, [
      section('facts', FACTS),
      ...NO_RECORDS,
      section('vitals', text),
    ]);
    expect(observation.vitals).toEqual(vitals);
  });

  it('finds a unit by each of its names', () => {
    const units = `${shown('a.service')}Names=a.service b.service\n`;
    const observation = readObservation('web-1', ASKED, [
      section('facts', FACTS),
      ...NO_RECORDS,
      section('units', units),
    ]);
    expect(observation.units.map(({ name }) => name)).toEqual(['a.service', 'b.service']);
  });

  it.each([
    ['no facts', [], 'Cannot use machine "web-1": it has no machine id in /etc/machine-id'],
    [
      'a machine id that is none',
      [section('facts', 'machine-id uninitialized')],
      'Cannot use machine "web-1": it has no machine id in /etc/machine-id',
    ],
    [
      'no file with a machine id',
      [section('facts', 'boot-id b', 0, 'sh: /etc/machine-id: No such file')],
      'Cannot use machine "web-1": it has no machine id in /etc/machine-id: "sh: /etc/machine-id: No such file"',
    ],
    [
      'a systemd that does not answer',
      [section('facts', FACTS), section('units', '', 1, 'Failed to connect to bus')],
      'Cannot use machine "web-1": systemctl show failed: "Failed to connect to bus"',
    ],
  ])('is refused for %s', (_, sections, message) => {
    const read = (): unknown => readObservation('web-1', ASKED, sections);
    expect(read).toThrow(FleetError);
    expect(read).toThrow(expect.objectContaining({ code: 'remote-script', message }));
  });
});

describe('the outcome of a change', () => {
  const launch = changes.launch(WEB, 'text', 5);
  const up = [section('started', shown(WEB)), section('units', `${shown('a.service')}\n${shown(WEB)}`)];

  /** What was reported for `change`, the second of two. */
  const failureOf = (sections: readonly Section[], change: UnitChange = launch): Failure | undefined =>
    readOutcomes('web-1', [changes.load('a.service', '', 5), change], sections)[1]?.failure;

  it('is none, with the state at the end, when all went well', () => {
    const [outcome] = readOutcomes('web-1', [launch], up);
    expect(outcome).toMatchObject({
      unit: WEB,
      machine: 'web-1',
      state: { active: 'active' },
      failure: undefined,
    });
  });

  const failures: readonly (readonly [string, Section, Failure])[] = [
    ['another cluster', section('cluster', '', 10, 'other'), { code: 'other-cluster', cluster: 'other' }],
    [
      'a cluster file that cannot be written',
      section('cluster', '', 1, 'EROFS'),
      { code: 'step', step: 'cluster', detail: 'EROFS' },
    ],
    ['a lock that is held for too long', section('lock', '', 11, ''), { code: 'locked' }],
    [
      'a lock that a process has for too long',
      section('cluster', '', 11, '12 alice sleep'),
      { code: 'locked', holder: { pid: 12, user: 'alice', command: 'sleep' } },
    ],
    [
      'files that the disk does not take',
      section('flush', '', 1, 'sync: error'),
      { code: 'step', step: 'flush', detail: 'sync: error' },
    ],
    [
      'a lock that cannot be taken',
      section('lock', '', 1, 'EROFS'),
      { code: 'step', step: 'lock', detail: 'EROFS' },
    ],
    ['no flock on the machine', section('lock', '', 127, ''), { code: 'step', step: 'lock', detail: '' }],
    [
      'folders that cannot be made',
      section('prepare', '', 1, 'EROFS'),
      { code: 'step', step: 'prepare', detail: 'EROFS' },
    ],
    [
      'a failed reload',
      section('reload', '', 1, 'no bus'),
      { code: 'step', step: 'reload', detail: 'no bus' },
    ],
    ['a newer decision', section('guard:1', '', 10, '9'), { code: 'stale', token: 5, seen: 9 }],
    ['a unit from elsewhere', section('guard:1', '', 11, '/etc/x'), { code: 'foreign', path: '/etc/x' }],
    [
      'a file that cannot be written',
      section('put:1', '', 1, 'ENOSPC'),
      { code: 'step', step: 'write', detail: 'ENOSPC' },
    ],
    [
      'bytes that changed on the way',
      section('verify:1', '', 1, 'differs'),
      { code: 'step', step: 'write', detail: 'differs' },
    ],
    [
      'a token that cannot be noted',
      section('claim:1', '', 1, 'EIO'),
      { code: 'step', step: 'stop', detail: 'EIO' },
    ],
    [
      'a unit that does not stop',
      section('stopped:1', '', 14, 'active running\nagain\nUpheldBy=app.target'),
      {
        code: 'not-down',
        state: 'active running',
        again: true,
        causes: [{ relation: 'UpheldBy', unit: 'app.target' }],
        detail: '',
        journal: [],
      },
    ],
    [
      'a unit that nothing is known of after its stop',
      section('stopped:1', '', 15, ''),
      { code: 'unverified' },
    ],
    [
      'a file that cannot be renamed',
      section('install:1', '', 1, 'EIO'),
      { code: 'step', step: 'install', detail: 'EIO' },
    ],
    [
      'a file that cannot be removed',
      section('remove:1', '', 1, 'EIO'),
      { code: 'step', step: 'remove', detail: 'EIO' },
    ],
    [
      'a record that cannot be removed',
      section('retire:1', '', 1, 'EIO'),
      { code: 'step', step: 'remove', detail: 'EIO' },
    ],
  ];

  it.each(failures)('tells %s', (_, failed, failure) => {
    expect(failureOf([...up, failed])).toEqual(failure);
  });

  it.each(failures.filter(([, { name }]) => name.endsWith(':1')))(
    'keeps %s from the other units',
    (_, failed) => {
      const outcomes = readOutcomes('web-1', [changes.load('a.service', '', 5), launch], [...up, failed]);
      expect(outcomes[0]?.failure).toBeUndefined();
    },
  );

  it('belongs to the change with its number, not to one with the same last digits', () => {
    const twelve = Array.from({ length: 12 }, (_, index) => changes.load(`a${index}.service`, '', 5));
    const shows = twelve.map(({ unit }) => shown(unit)).join('\n');
    const failed = readOutcomes('web-1', twelve, [
      section('put:11', '', 1, 'ENOSPC'),
      section('units', shows),
    ]);
    expect(failed.filter(({ failure }) => failure !== undefined).map(({ unit }) => unit)).toEqual([
      'a11.service',
    ]);
  });

  it('is the first thing that went wrong', () => {
    const sections = [section('guard:1', '', 11, '/etc/x'), section('put:1', '', 1, 'ENOSPC')];
    expect(failureOf(sections)).toEqual({ code: 'foreign', path: '/etc/x' });
  });

  it.each([
    ['that died', { ActiveState: 'failed' }],
    ['that was restarted', { NRestarts: '1' }],
    ['that runs again, another time', { InvocationID: 'i2' }],
    ['that waits to be restarted', { ActiveState: 'activating', SubState: 'auto-restart' }],
  ])('is `not-up` for a unit %s while it was watched', (_, changed) => {
    const sections = [section('started', shown(WEB)), section('units', shown(WEB, changed))];
    expect(failureOf(sections)).toMatchObject({ code: 'not-up', detail: '', journal: [] });
  });

  it('of a start holds what systemctl said of this unit, not of one whose name has the same end', () => {
    const failed = shown(WEB, { ActiveState: 'inactive' });
    const said = `Failed to start my${WEB}: Unit my${WEB} is masked.\nFailed to start ${WEB}: Unit ${WEB} has a bad unit file setting.`;
    const sections = [section('start', '', 1, said), section('started', failed), section('units', failed)];
    expect(failureOf(sections)).toMatchObject({ detail: said.split('\n')[1] });
  });

  it('of a restart that systemd refused is a failure although the unit keeps running', () => {
    const running = shown(WEB, { LoadState: 'bad-setting' });
    const said = `Failed to restart ${WEB}: Unit ${WEB} has a bad unit file setting.`;
    const sections = [
      section('restart', '', 1, said),
      section('started', running),
      section('units', running),
    ];
    expect(failureOf(sections, changes.restart(WEB, '', 5))).toMatchObject({ code: 'not-up', detail: said });
  });

  it('of a stop that systemd refused holds what it said', () => {
    const said = `Failed to stop ${WEB}: Operation refused.\nSee system logs and 'systemctl status ${WEB}' for details.`;
    const sections = [section('stop', '', 1, said), section('down:1', '', 14, 'active running')];
    expect(failureOf(sections, changes.stop(WEB, '', 5))).toMatchObject({
      code: 'not-down',
      again: false,
      detail: said.split('\n')[0],
    });
  });

  it('is `unverified` when nothing tells of the unit', () => {
    const unverified = { code: 'unverified' };
    const stop = changes.stop(WEB, '', 5);
    expect(failureOf([section('units', shown(WEB))])).toEqual(unverified);
    expect(failureOf([section('started', shown(WEB))])).toEqual(unverified);
    expect(failureOf([], changes.remove(WEB, 5))).toEqual(unverified);
    expect(failureOf([section('units', shown(WEB))], stop)).toEqual(unverified);
    expect(failureOf([section('down:1', '')], stop)).toEqual(unverified);
    expect(failureOf([], changes.load('web@.service', '', 5))).toEqual(unverified);
  });

  it('is none when there is an answer after a stop, a removal, or of a template', () => {
    const failed = section('units', shown(WEB, { ActiveState: 'failed' }));
    expect(failureOf([section('down:1', ''), failed], changes.stop(WEB, '', 5))).toBeUndefined();
    expect(failureOf([section('retire:1', '')], changes.remove(WEB, 5))).toBeUndefined();
    expect(failureOf([section('file:1', '')], changes.load('web@.service', '', 5))).toBeUndefined();
  });

  it('rests on the lists of systemd for a unit that it cannot show', () => {
    const run = (id: string) => `|${WEB} active running|\ninvocation:${WEB} 'invocation:${WEB}' -> '${id}'`;
    const [first, second] = ['1'.repeat(32), '2'.repeat(32)];
    const started = section('started-listed', run(first));
    expect(failureOf([started, section('units-listed', run(first))])).toBeUndefined();
    expect(failureOf([started, section('units-listed', run(second))])).toMatchObject({ code: 'not-up' });
    expect(failureOf([started, section('units-listed', '|')])).toMatchObject({ code: 'not-up' });
  });

  it.each([
    ['in the same state and run', 'active running', '1', []],
    ['in another run', 'active running', '2', [WEB]],
    ['in another state', 'activating auto-restart', '1', [WEB]],
  ])('rests on the state at the start of a unit that is listed %s', (_, state, digit, changed) => {
    const started = section('started', shown(WEB, { InvocationID: '1'.repeat(32) }));
    const listed = `|${WEB} ${state}|\ninvocation:${WEB} 'invocation:${WEB}' -> '${digit.repeat(32)}'`;
    const sections = [started, section('units-now', listed)];
    expect(changedUnits([WEB], sections)).toEqual(changed);
    const failure = failureOf(sections);
    expect(failure).toEqual(changed.length === 0 ? undefined : { code: 'unverified' });
    const again = section('units', shown(WEB, { ActiveState: 'failed' }));
    expect(failureOf([...sections, again])).toMatchObject({ code: 'not-up' });
    expect(changedUnits([WEB], [started, section('units-now', listed, 1)])).toEqual([]);
  });

  it('tells what a start waits for that is still queued', () => {
    const waits = shown(WEB, { ActiveState: 'inactive', SubState: 'dead' });
    const queue = `7 a.service start running\n8 ${WEB} start waiting\n└─    \twaiting for job 7 (a.service/start) - -\n9 z.service start waiting\n└─    \twaiting for job 8 (x/start) - -`;
    const sections = [section('started', waits), section('units', waits), section('queue', queue)];
    expect(failureOf(sections)).toEqual({ code: 'queued', waitsFor: ['a.service/start'] });
  });

  it('tells how many processes a stop left running', () => {
    const sections = [section('retire:0', ''), section('left', `${WEB} 2\n`)];
    expect(readOutcomes('web-1', [changes.remove(WEB, 5)], sections)[0]).toMatchObject({ left: 2 });
  });
});
