import { expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET, until } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, service } from './operator.ts';

onMachines('a new text of a global unit', () => {
  const operator = createOperator({ top: { settle: '300ms', agent_ttl: '3s' } });
  const startFleetd = fleetdStarter(operator);
  const write = (command: string, options = ''): string =>
    operator.write('agent.service', service(`ExecStart=${command}`, `Global=true\n${options}`));
  const invocations = (): Promise<readonly string[]> =>
    insideAll(MACHINES, 'systemctl show --property=InvocationID --value agent');
  const texts = async (): Promise<readonly string[]> => {
    const found = await insideAll(MACHINES, 'cat /etc/systemd/system/agent.service');
    return found.map((text) => /ExecStart=\S+ ?(\S*)/.exec(text)?.[1] ?? '');
  };

  it('goes from machine to machine', async () => {
    write('/bin/sleep 100001');
    expect((await operator.fleetctl('start', 'agent')).status).toBe(0);
    write('/bin/sleep 100002');
    expect(await operator.fleetctl('start', '--replace', 'agent')).toMatchObject({
      status: 0,
      stdout: 'Unit agent.service launched on 3 of 3 machines\n',
    });
    expect(await texts()).toEqual(['100002', '100002', '100002']);
  });

  it('ends at the first machine on which it fails, and is held', async () => {
    const before = await invocations();
    write('/nowhere/agent');
    const { status, stderr } = await operator.fleetctl('start', '--replace', 'agent');
    expect(status).toBe(1);
    expect(stderr).toContain(`Cannot start unit "agent.service" on machine "k1" (${SUBNET}.1)`);
    expect(stderr).toContain('exit status 203');
    expect(stderr).toMatch(/machine "k3" \(\S+\): held: text [0-9a-f]{7} failed on k1: exit status 203/);
    expect((await invocations()).slice(1)).toEqual(before.slice(1));
    expect(
      (await operator.fleetctl('list-unit-files', '--fields', 'unit,rollout', '--no-legend')).stdout,
    ).toMatch(/agent\.service\s+1 of 3 on [0-9a-f]{7}; held: text [0-9a-f]{7} failed on k1: exit status 203/);
    expect((await operator.fleetctl('reconcile')).stderr).toContain('held: text');
    expect((await operator.fleetctl('start', '--replace', 'agent')).status).toBe(1);
    expect((await invocations()).slice(1)).toEqual(before.slice(1));
  });

  it('replaces the one that failed, and is completed by fleetd if the command is killed', async () => {
    write('/bin/sleep 100003');
    const { process, ended } = operator.launch(['start', '--replace', 'agent']);
    await until('k1', 'grep -q 100003 /etc/systemd/system/agent.service');
    process.kill('SIGKILL');
    await ended;
    expect(await texts()).not.toEqual(['100003', '100003', '100003']);
    const fleetd = startFleetd();
    for (const machine of MACHINES) await until(machine, 'grep -q 100003 /etc/systemd/system/agent.service');
    await fleetd.end();
    expect((await operator.fleetctl('reconcile')).status).toBe(0);
  });

  it('waits for HealthExec=, and is released by --retry', async () => {
    const before = await invocations();
    write('/bin/sleep 100004\nUser=daemon', 'HealthExec=id -un; test -e /var/tmp/healthy\nHealthyWithin=1s');
    const { status, stderr } = await operator.fleetctl('start', '--replace', 'agent');
    expect(status).toBe(1);
    expect(stderr).toContain('its HealthExec= did not succeed within 1s');
    expect(stderr).toContain('\n  daemon\n');
    expect((await invocations()).slice(1)).toEqual(before.slice(1));
    await insideAll(MACHINES, 'touch /var/tmp/healthy');
    expect((await operator.fleetctl('reconcile')).stderr).toContain('held: text');
    expect((await operator.fleetctl('start', '--retry', 'agent')).status).toBe(0);
    expect(await texts()).toEqual(['100004', '100004', '100004']);
  });

  it('returns to the old one with OnFailedUpdate=revert', async () => {
    const before = await invocations();
    write('/nowhere/agent', 'OnFailedUpdate=revert');
    const { status, stderr } = await operator.fleetctl('start', '--replace', 'agent');
    expect(status).toBe(1);
    expect(stderr).toContain('has its old text');
    expect(await texts()).toEqual(['100004', '100004', '100004']);
    expect((await invocations()).slice(1)).toEqual(before.slice(1));
    await inside('k1', 'systemctl is-active agent');
  });
});
