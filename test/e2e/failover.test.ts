import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { addressOf, cluster, hostKeyOf, inside, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, SLEEPER, service } from './operator.ts';

const UNITS = ['list-units', '--no-legend'];
const TTL_MS = 5000;

onMachines('a machine that reboots', () => {
  const operator = createOperator();

  it('starts the launched units, and no others', async () => {
    operator.write('launched.service', SLEEPER);
    operator.write('loaded.service', SLEEPER);
    operator.write('stopped.service', SLEEPER);
    operator.write('tick.timer', '[Timer]\nOnCalendar=daily\nUnit=loaded.service\n');
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    operator.configure({ machines: ['k1'] });
    await operator.fleetctl('load', 'loaded');
    await operator.fleetctl('start', 'launched', 'stopped', 'agent', 'tick.timer');
    await operator.fleetctl('stop', 'stopped');
    await cluster('reboot', 'k1');
    expect(await operator.fleetctl(...UNITS, '--fields=unit,active,sub')).toEqual(
      done(`
        agent.service     active    running
        launched.service  active    running
        loaded.service    inactive  dead
        stopped.service   inactive  dead
        tick.timer        active    waiting
      `),
    );
  });

  it('starts them after a power loss, too', async () => {
    await cluster('kill', 'k1');
    await cluster('start', 'k1');
    expect(await operator.fleetctl(...UNITS, '--fields=unit,active')).toEqual(
      done(`
        agent.service     active
        launched.service  active
        loaded.service    inactive
        stopped.service   inactive
        tick.timer        active
      `),
    );
  });
});

onMachines('a unit on an unreachable machine', () => {
  const operator = createOperator({ top: { agent_ttl: `${TTL_MS}ms` }, ssh: { connect_timeout: '5s' } });

  beforeAll(async () => {
    operator.write('web@.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    await operator.fleetctl('start', 'web@1', 'web@2', 'web@3', 'agent');
  });

  it('stays for agent_ttl, and moves when it is started again after that', async () => {
    await cluster('kill', 'k1');
    const early = await operator.fleetctl('start', 'web@1');
    expect({ status: early.status, stdout: early.stdout }).toEqual({ status: 5, stdout: '' });
    await sleep(TTL_MS);
    expect(await operator.fleetctl('start', 'web@1')).toEqual(
      done(`Unit web@1.service launched on 00000000.../${SUBNET}.2`),
    );
    const agent = await operator.fleetctl('start', 'agent');
    expect({ status: agent.status, stdout: agent.stdout }).toEqual({
      status: 5,
      stdout: 'Unit agent.service launched on 2 of 3 machines\n',
    });
  });

  it('leaves a copy that the next pass stops when the machine is back', async () => {
    await cluster('start', 'k1');
    expect(await operator.fleetctl(...UNITS)).toEqual(
      done(`
        agent.service  00000000.../${SUBNET}.1  active  running
        agent.service  00000000.../${SUBNET}.2  active  running
        agent.service  00000000.../${SUBNET}.3  active  running
        web@1.service  00000000.../${SUBNET}.1  active  running
        web@1.service  00000000.../${SUBNET}.2  active  running
        web@2.service  00000000.../${SUBNET}.2  active  running
        web@3.service  00000000.../${SUBNET}.3  active  running
      `),
    );
    expect(await operator.fleetctl('start', 'web@1')).toEqual(
      done(`Unit web@1.service launched on 00000000.../${SUBNET}.2`),
    );
    expect(await inside('k1', 'ls /etc/systemd/system; systemctl is-active web@1 || true')).not.toMatch(
      /web@1|^active/m,
    );
  });

  it('does not move when more than half of the machines are unreachable', async () => {
    await cluster('cut', 'k2', 'k3');
    await operator.fleetctl('list-units');
    await sleep(TTL_MS);
    const { status, stdout } = await operator.fleetctl('start', 'web@1', 'web@2', 'web@3');
    expect({ status, stdout }).toEqual({ status: 5, stdout: '' });
    await cluster('heal', 'k2', 'k3');
    expect(await operator.fleetctl('list-unit-files', '--no-legend', '--fields=unit,state,tmachine')).toEqual(
      done(`
        agent.service  launched  3 of 3
        web@1.service  launched  00000000.../${SUBNET}.2
        web@2.service  launched  00000000.../${SUBNET}.2
        web@3.service  launched  00000000.../${SUBNET}.3
      `),
    );
  });

  it('does not move when the machine is up but fleetctl cannot use it', async () => {
    operator.write('known_hosts', `${addressOf('k2')} ${hostKeyOf('k1')}\n`);
    const trust = { known_hosts_file: 'known_hosts', strict_host_key_checking: 'accept-new' };
    operator.configure({ top: { agent_ttl: `${TTL_MS}ms` }, ssh: trust });
    await operator.fleetctl('list-units');
    await sleep(TTL_MS);
    const { status, stdout, stderr } = await operator.fleetctl('start', 'web@2');
    expect({ status, stdout }).toEqual({ status: 5, stdout: '' });
    expect(stderr).toContain('its host key has changed');
  });

  it('stays when its machine is missing from fleet.conf, and moves when the machine is removed', async () => {
    operator.configure({ machines: ['k1', 'k2'] });
    expect(await operator.fleetctl('start', 'web@3')).toEqual(
      done(`Unit web@3.service launched on 00000000.../${SUBNET}.3`),
    );
    expect((await operator.fleetctl('machines', 'remove', 'k3')).status).toBe(2);
    expect((await operator.fleetctl('machines', 'remove', 'k3', '--lost')).status).toBe(0);
    expect(await operator.fleetctl('start', 'web@3')).toEqual(
      done(`Unit web@3.service launched on 00000000.../${SUBNET}.1`),
    );
  });
});
