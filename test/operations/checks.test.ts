import { describe, expect, it } from 'vitest';
import { type ErrorCode, FleetError } from '../../src/base/errors.ts';
import { CHECKS, type CheckResult, type HealthInput, judge } from '../../src/operations/checks.ts';
import { NotTried } from '../../src/ssh/failure.ts';
import type { Examination } from '../../src/systemd/examination.ts';
import { HEALTHY } from '../support/fake-machines.ts';

const SIGHT: HealthInput = {
  user: 'core',
  login: { address: '10.0.0.1', credential: 'id' },
  examination: HEALTHY,
  offsetSeconds: 0,
  clusterId: 'ours',
  sameId: undefined,
  known: undefined,
};

function statuses(sight: Partial<HealthInput>): Readonly<Record<string, readonly string[]>> {
  const results = judge({ ...SIGHT, ...sight });
  expect(results.map(({ check }) => check)).toEqual(CHECKS);
  const of = (status: string) => results.filter((r) => r.status === status).map(({ check }) => check);
  return { failed: of('failed'), skipped: of('skipped') };
}

function examined(changes: Partial<Examination>, sight: Partial<HealthInput> = {}): CheckResult | undefined {
  const results = judge({ ...SIGHT, ...sight, examination: { ...HEALTHY, ...changes } });
  expect(results.filter(({ status }) => status === 'skipped')).toEqual([]);
  const failed = results.filter(({ status }) => status === 'failed');
  expect(failed.length).toBeLessThanOrEqual(1);
  return failed[0];
}

describe('the checks of a machine', () => {
  it('are all made and all well where all is well', () => {
    expect(statuses({})).toEqual({ failed: [], skipped: [] });
  });

  it.each([
    ['ssh-name', 'name'],
    ['ssh-refused', 'port'],
    ['ssh-timeout', 'port'],
    ['ssh-lost', 'port'],
    ['ssh-host-key', 'host-key'],
    ['ssh-authentication', 'login'],
  ] as const)('end with %s at %s, and what needs it is skipped', (code: ErrorCode, check) => {
    const login = new FleetError(code, 'no');
    const rest = CHECKS.slice(CHECKS.indexOf(check) + 1);
    expect(statuses({ login, examination: undefined })).toEqual({ failed: [check], skipped: rest });
  });

  it.each([
    ['ssh-authentication', 'login'],
    ['ssh-name', 'name'],
  ] as const)('are not made before %s where the machine itself was not tried', (code, check) => {
    const login = new NotTried(new FleetError(code, 'no key'));
    const others = CHECKS.filter((each) => each !== check);
    expect(statuses({ login, examination: undefined })).toEqual({ failed: [check], skipped: others });
  });

  it('do not say that tools work where there was no folder to try them in', () => {
    const folders = [{ folder: '/run', obstacle: 'Read-only file system' }];
    const examination = { ...HEALTHY, folders, broken: undefined };
    expect(statuses({ examination })).toEqual({ failed: ['folders'], skipped: ['tools'] });
  });

  it('are not made of what the machine did not say', () => {
    const examination = { ...HEALTHY, space: [] };
    expect(statuses({ examination, offsetSeconds: undefined })).toEqual({
      failed: [],
      skipped: ['clock', 'space'],
    });
  });

  it.each([
    ['remote-script', 'shell'],
    ['ssh-timeout', 'shell'],
    ['ssh-lost', 'shell'],
    ['ssh-refused', 'shell'],
    ['become-password', 'root'],
    ['become-denied', 'root'],
    ['become-tty', 'root'],
    ['become-refused', 'root'],
    ['become-missing', 'root'],
  ] as const)('end after the login with %s at %s', (code: ErrorCode, check) => {
    const examination = new FleetError(code, 'no', { hint: 'repair it' });
    const rest = CHECKS.slice(CHECKS.indexOf(check) + 1);
    expect(statuses({ examination })).toEqual({ failed: [check], skipped: rest });
    const found = judge({ ...SIGHT, examination }).find((result) => result.check === check)?.finding;
    expect(found).toEqual({ code: 'error', message: 'no', hint: 'repair it' });
  });

  it.each<[string, Partial<Examination>, string]>([
    ['a user who is not root', { uid: 1000 }, 'root'],
    ['no systemd', { systemd: undefined }, 'systemd'],
    ['a systemd that is too old', { systemd: { version: 234, state: 'running' } }, 'systemd'],
    ['a systemd that is not the init', { systemd: { version: 252, state: 'offline' } }, 'systemd'],
    ['a folder', { folders: [{ folder: '/etc', obstacle: 'Read-only file system' }] }, 'folders'],
    ['a tool that does not run', { broken: ['flock'] }, 'tools'],
    ['a machine id that is none', { machineId: 'uninitialized' }, 'id'],
    ['a tool that is missing', { absent: ['flock'] }, 'tools'],
    ['another cluster', { cluster: 'theirs' }, 'cluster'],
    ['a full disk', { space: [{ folder: '/', kib: 16_383, inodes: 1000 }] }, 'space'],
    ['no more inodes', { space: [{ folder: '/', kib: 1e9, inodes: 99 }] }, 'space'],
    ['a journal', { journalObstacle: 'No such file' }, 'journal'],
    ['no podman', { containers: [{ tool: 'podman', present: false }] }, 'containers'],
    ['a file that was changed', { altered: [{ unit: 'a.service', what: 'altered' }] }, 'units'],
    ['a unit', { unknown: [{ unit: 'a.service', why: 'Invalid argument' }] }, 'units'],
  ])('fail for %s, and the others are made', (_, changes, check) => {
    expect(examined(changes)?.check).toBe(check);
  });

  it.each<[string, Partial<Examination>]>([
    ['the oldest systemd that will do', { systemd: { version: 235, state: 'degraded' } }],
    ['a machine of this cluster', { cluster: 'ours' }],
    ['a file system without inodes', { space: [{ folder: '/', kib: 16_384, inodes: undefined }] }],
    ['podman that units use', { containers: [{ tool: 'podman', present: true }] }],
  ])('are well for %s', (_, changes) => {
    expect(examined(changes)).toBeUndefined();
  });

  it.each([
    [5, undefined],
    [-5, undefined],
    [6, 'clock'],
    [-7200, 'clock'],
  ])('of a clock that is %d s ahead: %s', (offsetSeconds, check) => {
    expect(examined({}, { offsetSeconds })?.check).toBe(check);
  });

  it('fail for a machine whose id is not the one that the registry has for it', () => {
    expect(examined({}, { known: 'f'.repeat(32) })?.finding?.code).toBe('other-id');
  });

  it('take any cluster where the registry holds nothing yet', () => {
    expect(examined({ cluster: 'theirs' }, { clusterId: undefined })).toBeUndefined();
  });

  it('tell of the folder with too little room, not of the one with most', () => {
    const space = [
      { folder: '/a', kib: 1e6, inodes: 5 },
      { folder: '/b', kib: 2e4, inodes: 500 },
    ];
    expect(examined({ space })?.finding).toEqual({ code: 'space', least: space[0] });
  });
});
