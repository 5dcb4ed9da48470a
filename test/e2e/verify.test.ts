import { expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, failed, SLEEPER, service } from './operator.ts';

onMachines('verify', () => {
  const operator = createOperator();
  /** All files of fleet on machines, including staging folders. */
  const left = () => insideAll(MACHINES, 'ls -d /var/lib/fleet /run/fleet/verify.* 2>/dev/null || true');

  it('checks all files together on every machine, and leaves no files', async () => {
    operator.write('db.service', SLEEPER);
    operator.write(
      'web.service',
      `[Unit]\nRequires=db.service\nAfter=db.service\n\n${SLEEPER}\n[X-Fleet]\nMachineOf=db.service\n`,
    );
    expect(await operator.fleetctl('verify', 'web.service', 'db.service')).toEqual(
      done(`
      Passed on "k1" (${SUBNET}.1): web.service db.service
      Passed on "k2" (${SUBNET}.2): web.service db.service
      Passed on "k3" (${SUBNET}.3): web.service db.service
      `),
    );
    expect(await left()).toEqual(['', '', '']);
  });

  it.each([
    [
      'a setting that is misspelt',
      'ExecStart=/bin/true\nRestrat=always',
      `bad.service:3: Unknown key 'Restrat' in section [Service], ignoring.`,
    ],
    [
      'a program that is missing',
      'ExecStart=/usr/bin/no-such-program',
      'bad.service: Command /usr/bin/no-such-program is not executable: No such file or directory',
    ],
  ])('fails for %s', async (_, lines, message) => {
    operator.write('bad.service', service(lines));
    expect(await operator.fleetctl('verify', 'bad.service', '--machine', 'k2')).toEqual({
      status: 1,
      stdout: `Failed on "k2" (${SUBNET}.2): bad.service\n  ${message}\n`,
      stderr: '',
    });
  });

  it('fails for a required unit that does not exist', async () => {
    operator.write('lonely.service', `[Unit]\nRequires=nothing-like-it.service\n\n${SLEEPER}`);
    const { status, stdout } = await operator.fleetctl('verify', 'lonely.service', '--machine', 'k1');
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: `Failed on "k1" (${SUBNET}.1): lonely.service
  lonely.service: Failed to create lonely.service/start: Unit nothing-like-it.service not found.
`,
    });
  });

  it('fails on one machine only, when the program exists on the others', async () => {
    await insideAll(['k1', 'k3'], 'cp /bin/true /root/there; chmod 755 /root/there');
    operator.write('some.service', service('ExecStart=/root/there'));
    const { status, stdout } = await operator.fleetctl('verify', 'some.service', '-o', 'json');
    const value = JSON.parse(stdout) as { passed: boolean; machines: { name: string; passed: boolean }[] };
    expect(status).toBe(1);
    expect(value.machines.map(({ name, passed }) => `${name} ${passed}`)).toEqual([
      'k1 true',
      'k2 false',
      'k3 true',
    ]);
    await insideAll(['k1', 'k3'], 'rm /root/there');
  });

  it('checks templates, instances and names that systemd escaped', async () => {
    operator.write('app@.service', service('ExecStart=/bin/sleep 10000%i'));
    operator.write('mnt-a\\x2db.mount', '[Mount]\nWhat=tmpfs\nWhere=/mnt/a-b\nType=tmpfs\n');
    const outcome = await operator.fleetctl(
      'verify',
      'app@.service',
      'app@1',
      'mnt-a\\x2db.mount',
      '--machine=k1',
    );
    expect(outcome).toEqual(
      done(`Passed on "k1" (${SUBNET}.1): app@.service app@1.service mnt-a\\x2db.mount`),
    );
  });

  it('lets start write nothing unless the units pass on every machine', async () => {
    const { status, stdout, stderr } = await operator.fleetctl(
      'start',
      '--verify',
      'bad.service',
      'db.service',
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(
      `Passed on "k1" (${SUBNET}.1): db.service\nFailed on "k1" (${SUBNET}.1): bad.service\n`,
    );
    expect(stderr).toContain('Error: Nothing was stored or started, because a check failed\n');
    expect((await operator.fleetctl('list-unit-files', '--no-legend')).stdout).toBe('');
    expect(await left()).toEqual(['', '', '']);
  });

  it('lets start continue over the same connection when the units pass', async () => {
    const sessions =
      'journalctl --quiet --unit=sshd.service --grep="Accepted publickey" --output=cat | wc -l';
    const before = Number(await inside('k2', sessions));
    expect(await operator.fleetctl('start', '--verify', 'db.service')).toEqual(
      done(`Unit db.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(Number(await inside('k2', sessions))).toBe(before + 1);
  });
});

onMachines('a timer without its service', () => {
  const operator = createOperator();

  it('is refused before anything is written', async () => {
    operator.write('x.timer', '[Timer]\nOnActiveSec=1h\n');
    expect(await operator.fleetctl('start', 'x.timer')).toEqual(
      failed(
        1,
        `
        Error: Cannot start unit "x.timer": it starts "x.service", which is neither in the registry nor on a machine
        hint: Submit it first: fleetctl submit x.service
        `,
      ),
    );
    expect((await operator.fleetctl('list-unit-files', '--no-legend')).stdout).toBe('');
    expect(await insideAll(MACHINES, 'ls -d /var/lib/fleet 2>/dev/null || true')).toEqual(['', '', '']);
  });

  it('can be started when its service is a unit of the system', async () => {
    operator.write('x.timer', '[Timer]\nOnActiveSec=1h\nUnit=systemd-tmpfiles-clean.service\n');
    expect((await operator.fleetctl('start', 'x.timer')).status).toBe(0);
  });
});
