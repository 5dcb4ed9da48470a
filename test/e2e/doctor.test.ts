import { afterAll, beforeAll, expect, it } from 'vitest';
import { cluster, inside, onMachines } from '../support/cluster.ts';
import { createOperator, SLEEPER } from './operator.ts';

/** The lines grouped by machine, because they arrive in the order in which machines answer. */
const sorted = (text: string): string => text.trimEnd().split('\n').slice(1).join('\n');

onMachines('doctor', () => {
  const operator = createOperator({ ssh: { connect_timeout: '2s' } });

  it('reports no problem for working machines, and exits with 0', async () => {
    const { status, stdout, stderr } = await operator.fleetctl('doctor', 'k1', '--all');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.match(/^k1 +\S+ +ok /gm)).toHaveLength(16);
    expect(stdout).toMatch(/^k1 +login +ok +root with .*id_ed25519\b/m);
  });

  it('reports the problem of each machine, and does not wait for a hung one', async () => {
    await inside(
      'k1',
      'mkdir -p /var/lib/fleet && echo 00000000-0000-4000-8000-00000000beef >/var/lib/fleet/cluster',
    );
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('submit', 'web');
    await cluster('fill', 'k2');
    await cluster('hang', 'k3');
    const { process, ended } = operator.launch(['doctor']);
    const others = new Promise<string>((resolve) => {
      let seen = '';
      process.stdout?.on('data', (chunk: Buffer) => {
        seen += chunk;
        if (/^k1 +rest/m.test(seen) && /^k2 +rest/m.test(seen)) resolve('others');
      });
    });
    expect(await Promise.race([others, ended.then(() => 'the end')])).toBe('others');
    const { status, stdout } = await ended;
    await cluster('resume', 'k3');
    await cluster('unfill', 'k2');
    expect(status).toBe(1);
    expect(sorted(stdout)).toMatch(/^k1 +cluster +failed +00000000-0000-4000-8000-00000000beef\n {2}fix: /m);
    expect(sorted(stdout)).toMatch(
      /^k2 +space +failed +\d+ KiB and \d+ inodes free in \/\S+\n {2}fix: make room/m,
    );
    expect(sorted(stdout)).toMatch(/^k3 +port +failed +Cannot reach machine "k3"/m);
    expect(sorted(stdout)).toMatch(/^k3 +rest +skipped +1 ok, 14 not possible until that is fixed$/m);
  });
});

onMachines('a read-only folder of unit files', () => {
  const operator = createOperator({ machines: ['k1'] });
  beforeAll(() =>
    inside(
      'k1',
      'mount --bind /etc/systemd/system /etc/systemd/system && mount -o remount,bind,ro /etc/systemd/system',
    ),
  );
  afterAll(() => inside('k1', 'umount /etc/systemd/system'));

  it('is reported by start and by doctor', async () => {
    operator.write('web.service', SLEEPER);
    const start = await operator.fleetctl('start', 'web');
    expect({ status: start.status, stdout: start.stdout }).toEqual({ status: 1, stdout: '' });
    expect(start.stderr).toMatch(
      /^Error: Cannot start unit "web\.service" on machine "k1" .*Read-only file system/,
    );
    const { status, stdout } = await operator.fleetctl('doctor');
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^k1 +folders +failed +\/etc\/systemd\/system: Read-only file system\n {2}fix: mount /m,
    );
  });
});
