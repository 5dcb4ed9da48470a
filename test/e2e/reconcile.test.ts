import { expect, it, vi } from 'vitest';
import { cluster, inside, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, SLEEPER, service } from './operator.ts';

const NOTHING = done('Nothing to do');

onMachines('reconcile', () => {
  const operator = createOperator({ top: { agent_ttl: '3s' } });

  it('has nothing to do after a start', async () => {
    operator.write('a.service', SLEEPER);
    operator.write('b.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    expect((await operator.fleetctl('start', 'a', 'b', 'agent')).status).toBe(0);
    expect(await operator.fleetctl('reconcile')).toEqual(NOTHING);
  });

  it('shows and repairs a stopped unit and a file that was edited on a machine', async () => {
    await inside('k1', 'systemctl stop a.service');
    await inside('k2', 'echo "# by hand" >>/etc/systemd/system/b.service');
    const steps = `
      k1: record a.service
      k1: start a.service
      k2: write the unit file of b.service, which was changed there
      k2: stop b.service
      k2: record b.service
      k2: start b.service
    `;
    expect(await operator.fleetctl('reconcile', '--dry-run')).toEqual(done(steps));
    expect(await inside('k1', 'systemctl is-active a.service || true')).toBe('inactive\n');
    expect(await operator.fleetctl('reconcile')).toEqual(done(steps));
    expect(await inside('k1', 'systemctl is-active a.service')).toBe('active\n');
    expect(await inside('k2', 'cat /etc/systemd/system/b.service')).toBe(SLEEPER);
    expect(await operator.fleetctl('reconcile')).toEqual(NOTHING);
  });

  it('moves the units of a dead machine, and removes the old copies when it is back', async () => {
    await cluster('kill', 'k1');
    const first = await operator.fleetctl('reconcile');
    expect(first).toMatchObject({ status: 5, stdout: '' });
    expect(first.stderr).toContain(
      `Cannot reconcile unit "a.service": machine "k1" (${SUBNET}.1) does not answer`,
    );
    const moved = await vi.waitUntil(async () => {
      const next = await operator.fleetctl('reconcile', '-o', 'json');
      return next.status === 0 && next;
    }, 20_000);
    expect(JSON.parse(moved.stdout)).toMatchObject({
      moves: [{ unit: 'a.service', from: { name: 'k1' }, to: { name: 'k3' } }],
      changes: [{ unit: 'a.service', machine: 'k3', steps: ['write', 'record', 'start'] }],
      failures: [],
      unreachable: [{ name: 'k1' }],
    });
    await cluster('start', 'k1');
    expect(await operator.fleetctl('reconcile')).toEqual(
      done(`
        k1: stop a.service
        k1: remove a.service
      `),
    );
    expect(await inside('k1', 'ls /var/lib/fleet/units')).toBe('agent.service\n');
    expect(await operator.fleetctl('reconcile')).toEqual(NOTHING);
  });

  it('removes nothing when the registry is an old backup', async () => {
    const backup = operator.read('registry/records');
    operator.write('new.service', SLEEPER);
    expect((await operator.fleetctl('start', 'new')).status).toBe(0);
    operator.write('registry/records', backup);
    const { status, stderr } = await operator.fleetctl('reconcile');
    expect(status).toBe(1);
    expect(stderr).toContain('Error: The registry may be an old backup');
    const units = await operator.fleetctl('list-machines', '--fields=state', '--no-legend');
    expect(units).toEqual(done('reachable\n'.repeat(3)));
    expect(await inside('k1', 'systemctl is-active new.service')).toBe('active\n');
  });
});
