import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { CHECKS, type HealthInput, judge } from '../../src/operations/checks.ts';
import { doctorJson, doctorLines, doctorTitles } from '../../src/output/doctor.ts';
import type { Examination } from '../../src/systemd/examination.ts';
import { HEALTHY } from '../support/fake-machines.ts';

const VIEW = { all: false, names: ['m1', 'machine-two'] };
const SIGHT: HealthInput = {
  user: 'core',
  login: { address: '10.0.0.1', credential: '/id' },
  examination: HEALTHY,
  offsetSeconds: 0,
  clusterId: 'ours',
  sameId: undefined,
  known: undefined,
};

const health = (sight: Partial<HealthInput> = {}) => ({
  machine: { name: 'm1', id: '148a18ff6e954cd892dac9de9bb90d5a', address: '10.0.0.1' },
  checks: judge({ ...SIGHT, ...sight }),
});
const examined = (changes: Partial<Examination>) => health({ examination: { ...HEALTHY, ...changes } });

describe('the words about a machine', () => {
  it('stand in columns, also when they come one after the other', async () => {
    expect(await doctorTitles(VIEW)).toBe('MACHINE      CHECK       STATUS   DETAIL\n');
    expect(await doctorLines(health(), VIEW)).toBe(
      `m1           all         ok       ${CHECKS.length} checks, core with /id, systemd 252, running\n`,
    );
  });

  it('are the failures, their fixes, and the number of the other checks', async () => {
    const examination = new FleetError('become-tty', 'you must have a tty', { hint: 'Run visudo' });
    expect(await doctorLines(health({ examination }), VIEW)).toBe(
      [
        'm1           root        failed   you must have a tty',
        '  fix: Run visudo',
        `m1           rest        skipped  5 ok, ${CHECKS.length - 6} not possible until that is fixed`,
        '',
      ].join('\n'),
    );
  });

  it('are every check when they are asked for', async () => {
    const lines = (await doctorLines(health({ offsetSeconds: -7200 }), { ...VIEW, all: true })).split('\n');
    expect(lines).toHaveLength(CHECKS.length + 2);
    expect(lines).toContain('m1           port        ok       10.0.0.1');
    expect(lines).toContain('m1           clock       failed   7200s behind');
    expect(lines).toContain('  fix: timedatectl set-ntp true there');
  });

  it.each<[Partial<Examination>, string, string]>([
    [{ broken: ['flock', 'tail'] }, 'installed, but not working: flock, tail', 'run flock there by hand'],
    [{ machineId: 'uninitialized' }, 'not a machine id: uninitialized', 'systemd-machine-id-setup'],
    [{ machineId: '' }, 'it has no machine id', 'systemd-machine-id-setup'],
    [{ uid: 1000 }, 'its shell runs with user id 1000', 'set become = sudo, become = doas or user = root'],
    [{ systemd: undefined }, 'systemctl does not answer', 'the machine needs systemd'],
    [
      { unknown: [{ unit: 'a.service', why: 'Invalid argument' }] },
      'a.service: Invalid argument',
      'systemctl show a.service there must work',
    ],
    [
      {
        altered: [
          { unit: 'a.service', what: 'altered' },
          { unit: 'b.service', what: 'damaged' },
        ],
      },
      'a.service: its file was changed there; b.service: its record is damaged',
      'fleetctl reconcile --dry-run',
    ],
    [
      { altered: [{ unit: 'a.service', what: 'drop-in' }] },
      'a.service: a drop-in changes it',
      'systemctl cat a.service there shows them',
    ],
    [
      { systemd: { version: 219, state: 'running' } },
      'systemd 219, running',
      'upgrade the machine: systemd before',
    ],
    [{ systemd: { version: 252, state: 'offline' } }, 'systemd 252, offline', 'it is offline'],
    [
      { folders: [{ folder: '/etc/systemd/system', obstacle: 'Read-only file system' }] },
      '/etc/systemd/system: Read-only file system',
      'mount -o remount,rw "$(findmnt -nro TARGET -T /etc/systemd/system)" there',
    ],
    [
      { folders: [{ folder: '/etc', obstacle: 'Operation not permitted' }] },
      '/etc: Operation not permitted',
      'run "chattr -i /etc" there, if "lsattr -d /etc" shows that it is immutable',
    ],
    [
      { occupied: ['/var/lib/fleet/units/a.service is a directory', '/x is no file'] },
      '/var/lib/fleet/units/a.service is a directory; /x is no file',
      'run "mv /var/lib/fleet/units/a.service /var/tmp/" there, and then: fleetctl reconcile',
    ],
    [
      { folders: [{ folder: '/etc', obstacle: 'No space left on device' }] },
      '/etc: No space left on device',
      'df -h there',
    ],
    [{ absent: ['flock'] }, 'missing: flock', 'install util-linux there'],
    [{ absent: ['base64'] }, 'missing: base64', 'install coreutils there'],
    [{ absent: ['flock', 'base64'] }, 'missing: flock, base64', 'install util-linux and coreutils there'],
    [{ cluster: 'theirs' }, 'theirs', 'fleetctl help recover'],
    [
      { space: [{ folder: '/var', kib: 100, inodes: 7 }] },
      '100 KiB and 7 inodes free in /var',
      'remove files in /var there: df -i',
    ],
    [
      { space: [{ folder: '/var', kib: 100, inodes: 700 }] },
      '100 KiB and 700 inodes free in /var',
      'make room in /var there',
    ],
    [{ journalObstacle: 'broken' }, 'broken', 'systemctl restart systemd-journald'],
    [{ containers: [{ tool: 'podman', present: false }] }, 'units need podman', 'install podman there'],
  ])('show the finding and its fix: %j', async (changes, detail, fix) => {
    const [row, fixLine] = (await doctorLines(examined(changes), VIEW)).split('\n');
    expect(row).toContain(` failed   ${detail}`);
    expect(fixLine).toMatch(/^ {2}fix: /);
    expect(fixLine).toContain(fix);
  });

  it('name the machine that has the same id', async () => {
    expect(await doctorLines(health({ sameId: 'm2' }), VIEW)).toContain(
      'id          failed   machine "m2" has the same id: 148a18ff-6e95-4cd8-92da-c9de9bb90d5a\n  fix: if they are one machine',
    );
  });

  it('are in JSON for a program', () => {
    const { machines } = JSON.parse(JSON.stringify(doctorJson([health({ offsetSeconds: 6 })])));
    expect(machines).toHaveLength(1);
    expect(machines[0]).toMatchObject({ name: 'm1', ip: '10.0.0.1', healthy: false });
    expect(machines[0].checks).toHaveLength(CHECKS.length);
    expect(machines[0].checks[CHECKS.indexOf('clock')]).toEqual({
      check: 'clock',
      status: 'failed',
      detail: '6s ahead',
      fix: 'timedatectl set-ntp true there',
    });
    expect(machines[0].checks[0]).toEqual({ check: 'name', status: 'ok', detail: null, fix: null });
  });
});
