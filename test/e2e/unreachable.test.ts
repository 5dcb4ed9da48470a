import { beforeAll, expect, it } from 'vitest';
import { cluster, inside, MACHINES, onMachines, SUBNET, until } from '../support/cluster.ts';
import { createOperator, done, failed, SLEEPER, service } from './operator.ts';

const FAULTS = [
  {
    inject: 'kill',
    repair: 'start',
    why: 'connection refused',
    hint: 'Check that sshd listens on port 22 there',
  },
  {
    inject: 'hang',
    repair: 'resume',
    why: 'it accepts connections but does not speak SSH within 2s',
    hint: 'Check that the machine is up and that no firewall drops port 22',
  },
  {
    inject: 'cut',
    repair: 'heal',
    why: 'no answer within 2s',
    hint: 'Check that the machine is up and that no firewall drops port 22',
  },
] as const;

onMachines('an unreachable machine', () => {
  const operator = createOperator({ ssh: { connect_timeout: '2s' } });

  beforeAll(async () => {
    operator.write('web@.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    await operator.fleetctl('start', 'web@1', 'web@2', 'web@3', 'agent');
  });

  for (const { inject, repair, why, hint } of FAULTS) {
    it(`after "${inject}" is named by every command that needs it, and others are not affected`, async () => {
      await cluster(inject, 'k2');
      try {
        const list = await operator.fleetctl('list-units');
        // On a busy box it may have been unreachable for a second.
        expect({ ...list, stderr: list.stderr.replace(/ \(unreachable for \d+s\)/, '') }).toEqual(
          failed(
            0,
            `
            Warning: Cannot reach machine "k2" (${SUBNET}.2:22): ${why}; the state of its units is unknown
            hint: ${hint}
            `,
            `
            UNIT           MACHINE                 ACTIVE   SUB
            agent.service  00000000.../${SUBNET}.1  active   running
            agent.service  00000000.../${SUBNET}.2  unknown  unreachable
            agent.service  00000000.../${SUBNET}.3  active   running
            web@1.service  00000000.../${SUBNET}.1  active   running
            web@2.service  00000000.../${SUBNET}.2  unknown  unreachable
            web@3.service  00000000.../${SUBNET}.3  active   running
            `,
          ),
        );
        const needed = await operator.fleetctl('start', 'web@2');
        expect({ status: needed.status, stdout: needed.stdout }).toEqual({ status: 5, stdout: '' });
        expect(needed.stderr).toContain(
          `Error: Cannot start unit "web@2.service": cannot reach machine "k2" (${SUBNET}.2:22): ${why}\nhint: ${hint}\n`,
        );
        expect(await operator.fleetctl('start', 'web@1')).toEqual(
          done(`Unit web@1.service launched on 00000000.../${SUBNET}.1`),
        );
      } finally {
        await cluster(repair, 'k2');
      }
      expect(await operator.fleetctl('start', 'web@2', 'agent')).toEqual(
        done(`
          Unit agent.service launched on 3 of 3 machines
          Unit web@2.service launched on 00000000.../${SUBNET}.2
        `),
      );
    });
  }

  it('is shown by each list', async () => {
    await cluster('kill', 'k2');
    const reason = `Cannot reach machine "k2" (${SUBNET}.2:22): connection refused`;
    const machines = await operator.fleetctl('list-machines');
    expect(machines.status).toBe(0);
    expect(machines.stdout).toContain(`00000000-0000-0000-0000-000000000000  ${SUBNET}.2  -\n`);
    expect(machines.stderr).toContain(reason);

    const files = await operator.fleetctl(
      'list-unit-files',
      '--fields=unit,dstate,state,tmachine',
      '--no-legend',
    );
    expect(files.status).toBe(0);
    expect(files.stderr).toContain(reason);
    expect(files.stdout).toMatch(/^agent\.service +launched +launched +2 of 3$/m);
    expect(files.stdout).toMatch(/^web@2\.service +launched +unknown +00000000\.\.\.\/127\.76\.\d\.2$/m);

    const json = await operator.launch(['list-units', '--output=json']).ended;
    expect(json.status).toBe(0);
    const { units, unreachable } = JSON.parse(json.stdout);
    expect(unreachable).toMatchObject([{ name: 'k2', ip: `${SUBNET}.2`, reason }]);
    expect(unreachable[0].silentMs).toBeGreaterThan(0);
    expect(units.filter(({ sub }: { sub: string }) => sub === 'unreachable')).toHaveLength(2);

    expect(await operator.fleetctl('start', 'web@4', 'web@5', 'web@6')).toEqual(
      done(`
        Unit web@4.service launched on 00000000.../${SUBNET}.1
        Unit web@5.service launched on 00000000.../${SUBNET}.3
        Unit web@6.service launched on 00000000.../${SUBNET}.1
      `),
    );
    await cluster('start', 'k2');
  });

  it('that was never reached has no id', async () => {
    operator.configure({
      machines: ['k1', 'k9'],
      top: { registry: 'file:other' },
      ssh: { connect_timeout: '2s' },
    });
    const { status, stdout, stderr } = await operator.fleetctl('list-machines', '--no-legend');
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: `00000000-0000-0000-0000-000000000000  ${SUBNET}.1  -\n-                                     ${SUBNET}.9  -\n`,
    });
    expect(stderr).toContain(`Warning: Cannot reach machine "k9" (${SUBNET}.9:22): connection refused`);
  });
});

onMachines('a machine that is up but cannot be used', () => {
  const operator = createOperator({ machines: ['k1', 'k2'], top: { agent_ttl: '1s' } });
  const OBSTACLES = [
    {
      what: 'the machine lacks flock',
      inject: 'mount --bind /dev/null /usr/bin/flock',
      repair: 'umount /usr/bin/flock',
    },
    {
      what: 'Read-only file system',
      inject: 'mount --bind /var /var; mount -o remount,ro,bind /var',
      repair: 'umount /var',
    },
    {
      what: 'it has no machine id in /etc/machine-id',
      inject: 'cp /etc/machine-id /run/id; : >/etc/machine-id',
      repair: 'cat /run/id >/etc/machine-id',
    },
  ];

  it('keeps its units, however long that lasts, and every message names the cause', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    const run = 'systemctl show -P InvocationID -P ActiveState web.service';
    const before = await inside('k1', run);
    for (const { what, inject, repair } of OBSTACLES) {
      await inside('k1', inject);
      try {
        for (let pass = 0; pass < 2; pass++) {
          await operator.fleetctl('reconcile');
          await new Promise((resolve) => setTimeout(resolve, 1100));
        }
        for (const verb of ['stop', 'unload', 'destroy']) {
          const { status, stdout, stderr } = await operator.fleetctl(verb, 'web');
          expect([status === 0, stdout]).toEqual([false, '']);
          expect(stderr).toContain(what);
        }
      } finally {
        await inside('k1', repair);
      }
      expect(await inside('k1', run)).toBe(before);
      expect(await operator.fleetctl('start', 'web')).toEqual(
        done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
      );
      expect(await inside('k1', run)).toBe(before);
    }
  });
});

onMachines('a machine that becomes unreachable during a command', () => {
  const operator = createOperator({
    machines: ['k1'],
    ssh: { connect_timeout: '2s', keepalive_timeout: '1s' },
  });

  for (const { inject, repair } of FAULTS) {
    it(`through "${inject}" ends the command after keepalive_timeout`, async () => {
      // After a power loss the unit starts again at boot, and must not wait then.
      await inside('k1', 'touch /run/wait');
      operator.write(
        'slow.service',
        service('Type=oneshot\nExecStart=/bin/sh -c "[ ! -e /run/wait ] || sleep 30"'),
      );
      const start = operator.launch(['start', 'slow']);
      await until('k1', 'systemctl show --property=ActiveState slow.service | grep -q activating');
      await cluster(inject, 'k1');
      const { status, stdout, stderr } = await start.ended;
      await cluster(repair, 'k1');
      expect({ status, stdout }).toEqual({ status: 5, stdout: '' });
      expect(stderr).toMatch(
        /^Error: Cannot start unit "slow\.service": lost machine "k1" \(127\.76\.\d\.1:22\): /m,
      );
      expect(await operator.fleetctl('destroy', 'slow')).toEqual(done('Destroyed slow.service'));
    });
  }
});

onMachines('a cluster in which every machine is unreachable', () => {
  const operator = createOperator({ ssh: { connect_timeout: '2s' } });

  it('shows that in lists, and accepts no unit', async () => {
    operator.write('web.service', SLEEPER);
    operator.write('late.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    await cluster('kill', 'k1', 'k2', 'k3');
    const list = await operator.fleetctl('list-units', '--no-legend', '--fields=unit,active,sub');
    expect({ status: list.status, stdout: list.stdout }).toEqual({
      status: 0,
      stdout: 'web.service  unknown  unreachable\n',
    });
    expect(list.stderr.match(/^Warning: /gm)).toHaveLength(3);

    const needed = await operator.fleetctl('start', 'web');
    expect({ status: needed.status, stdout: needed.stdout }).toEqual({ status: 5, stdout: '' });
    expect(needed.stderr).toContain(`cannot reach machine "k1" (${SUBNET}.1:22): connection refused`);
    const stopped = await operator.fleetctl('stop', 'web');
    expect([stopped.status, stopped.stdout]).toEqual([5, '']);
    expect(stopped.stderr).toContain(
      '\nhint: Its target state loaded is stored: fleetd or "fleetctl reconcile" applies it when the machine answers\n',
    );

    const late = await operator.fleetctl('start', 'late');
    expect({ status: late.status, stdout: late.stdout }).toEqual({ status: 5, stdout: '' });
    expect(late.stderr).toContain('Error: Cannot place unit "late.service": no machine fits\n');
    for (const name of MACHINES) {
      expect(late.stderr).toMatch(
        new RegExp(`^  ${name}: the machine .* answer.*: Cannot reach machine "${name}" `, 'm'),
      );
    }

    await cluster('start', 'k1', 'k2', 'k3');
    expect(await operator.fleetctl('start', 'web', 'late')).toEqual(
      done(`
        Unit late.service launched on 00000000.../${SUBNET}.2
        Unit web.service launched on 00000000.../${SUBNET}.1
      `),
    );
  });
});
