import { expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, failed, service } from './operator.ts';

onMachines('restart', () => {
  const operator = createOperator();
  const invocations = (unit: string): Promise<readonly string[]> =>
    insideAll(MACHINES, `systemctl show --property=InvocationID --value ${unit}`);

  it('restarts a global unit machine by machine, with at most one copy down', async () => {
    // Each start takes a moment; starts and stops write their times.
    operator.write(
      'agent.service',
      service(
        [
          'ExecStartPre=/bin/sleep 0.2',
          'ExecStart=/bin/sleep 100000',
          'ExecStartPost=/bin/sh -c "read -r t _ </proc/uptime; echo up $t >>/var/tmp/log"',
          'ExecStop=/bin/sh -c "read -r t _ </proc/uptime; echo down $t >>/var/tmp/log"',
        ].join('\n'),
        'Global=true',
      ),
    );
    expect((await operator.fleetctl('start', 'agent')).status).toBe(0);
    const before = await invocations('agent');
    await insideAll(MACHINES, 'rm /var/tmp/log');
    expect(await operator.fleetctl('restart', 'agent')).toEqual(
      done(`
        Unit agent.service restarted on 00000000.../${SUBNET}.1
        Unit agent.service restarted on 00000000.../${SUBNET}.2
        Unit agent.service restarted on 00000000.../${SUBNET}.3
      `),
    );
    for (const [index, run] of (await invocations('agent')).entries()) expect(run).not.toBe(before[index]);
    const log = (await insideAll(MACHINES, 'cat /var/tmp/log')).join('').trim().split('\n');
    const inTime = log
      .map((line) => line.split(' '))
      .toSorted(([, a], [, b]) => Number(a) - Number(b))
      .map(([what]) => what);
    expect(inTime).toEqual(['down', 'up', 'down', 'up', 'down', 'up']);
  });

  it('ends at the machine where the unit does not come up, and keeps the copies after it', async () => {
    operator.write(
      'picky.service',
      service(
        'ExecStartPre=/bin/sh -c "! test -e /var/tmp/now-broken"\nExecStart=/bin/sleep 100000',
        'Global=true',
      ),
    );
    expect((await operator.fleetctl('start', 'picky')).status).toBe(0);
    const before = await invocations('picky');
    await inside('k2', 'touch /var/tmp/now-broken');
    const { status, stdout, stderr } = await operator.fleetctl('restart', 'picky');
    expect(status).toBe(1);
    expect(stdout).toBe(`Unit picky.service restarted on 00000000.../${SUBNET}.1\n`);
    expect(stderr).toContain(`Error: Cannot restart unit "picky.service" on machine "k2" (${SUBNET}.2)`);
    expect(stderr).toContain(`Warning: unit "picky.service" on machine "k3" (${SUBNET}.3) was not restarted`);
    const after = await invocations('picky');
    expect([after[0] === before[0], after[2] === before[2]]).toEqual([false, true]);
  });

  it('shows the batches of a glob with --dry-run, and does nothing', async () => {
    operator.write('web@.service', service('ExecStart=/bin/sleep 100000'));
    expect((await operator.fleetctl('start', 'web@1', 'web@2', 'web@3')).status).toBe(0);
    const before = await invocations('web@*');
    expect(await operator.fleetctl('restart', '--dry-run', '--max-parallel=2', 'web@*')).toEqual(
      done(`
        Batch 1 of 2
        k1: restart web@1.service
        k2: restart web@2.service
        Batch 2 of 2
        k3: restart web@3.service
      `),
    );
    expect(await invocations('web@*')).toEqual(before);
  });

  it('reports what is wrong with the request', async () => {
    expect(await operator.fleetctl('stop', 'web@1')).toMatchObject({ status: 0 });
    expect(await operator.fleetctl('restart', 'web@1')).toEqual(
      failed(
        1,
        `
        Error: Cannot restart unit "web@1.service": it is loaded, not launched
        hint: Start it: fleetctl start web@1.service
        `,
      ),
    );
    expect((await operator.fleetctl('restart', 'absent')).status).toBe(4);
    expect((await operator.fleetctl('restart', '--max-parallel=0', 'web@2')).status).toBe(2);
  });
});
