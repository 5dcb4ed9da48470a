import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { cluster, inside, insideAll, MACHINES, onMachines, SUBNET, until } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, type Launched, service } from './operator.ts';

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
    await cluster('reboot', 'k1');
    await until('k1', 'systemctl is-active multi-user.target');
    expect((await invocations())[0]).toBe('\n');
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

/** For a busy box. */
const SOON = { timeout: 90_000, interval: 100 };

/** Lines `up 1 old 123.45` and `down 1 old 123.46`, by instance, text and uptime, which all machines share. */
type Run = { readonly kind: string; readonly instance: string; readonly text: string; readonly at: number };

onMachines('a new text of six instances', () => {
  const operator = createOperator({ top: { settle: '200ms', agent_ttl: '3s' } });
  const other = createOperator({
    top: { settle: '200ms', agent_ttl: '3s', registry: `file:${operator.folder}/registry` },
  });
  const startFleetd = fleetdStarter(operator);
  const write = (text: string, end = 'exec sleep 100000'): string => {
    const note = (kind: string): string =>
      `read now rest </proc/uptime; echo ${kind} %i ${text} $$now >>/var/tmp/runs`;
    const lines = [
      `ExecStart=/bin/sh -c '${note('up')}; ${end}'`,
      `ExecStopPost=/bin/sh -c '${note('down')}'`,
    ];
    return operator.write('units/web@.service', service(lines.join('\n'), 'Instances=6'));
  };
  const apply = (): Launched => operator.launch(['apply', 'units', '--yes']);
  const runs = async (): Promise<readonly Run[]> => {
    const lines = (await insideAll(MACHINES, 'cat /var/tmp/runs')).join('').trim().split('\n');
    return lines
      .map((line) => line.split(' '))
      .map(([kind = '', instance = '', text = '', at]) => ({ kind, instance, text, at: Number(at) }))
      .toSorted((a, b) => a.at - b.at);
  };
  /** The instances that were started with a text. */
  const startedWith = async (text: string): Promise<ReadonlySet<string>> =>
    new Set(
      (await runs()).filter((run) => run.kind === 'up' && run.text === text).map(({ instance }) => instance),
    );
  /** Kills the command when the first instances have the text, and resolves with their number. */
  const interrupt = async (
    { process, ended }: Launched,
    text: string,
    signal: NodeJS.Signals,
  ): Promise<number> => {
    await expect.poll(async () => (await startedWith(text)).size, SOON).toBeGreaterThan(0);
    process.kill(signal);
    await ended;
    return (await startedWith(text)).size;
  };
  /** The most instances that were down at the same time after all were up. */
  const mostDown = async (): Promise<number> => {
    const up = new Set<string>();
    const down = new Set<string>();
    let most = 0;
    for (const { kind, instance } of await runs()) {
      if (kind === 'up') up.add(instance);
      if (up.size < 6) continue;
      if (kind === 'up') down.delete(instance);
      else down.add(instance);
      most = Math.max(most, down.size);
    }
    return most;
  };

  it('is completed by fleetd after kill -9, and by another operator after Ctrl-C, one by one', async () => {
    await insideAll(MACHINES, 'rm -f /var/tmp/runs; touch /var/tmp/runs');
    write('first');
    expect((await apply().ended).status).toBe(0);
    write('second');
    expect(await interrupt(apply(), 'second', 'SIGKILL')).toBeLessThan(6);
    const fleetd = startFleetd();
    await expect.poll(async () => (await startedWith('second')).size, SOON).toBe(6);
    await fleetd.end();
    write('third');
    expect(await interrupt(apply(), 'third', 'SIGINT')).toBeLessThan(6);
    expect((await other.fleetctl('reconcile')).status).toBe(0);
    expect((await startedWith('third')).size).toBe(6);
    expect(await mostDown()).toBe(1);
  }, 300_000);

  it('that fails runs on one of them, also if others continue after kill -9', async () => {
    write('bad', 'exit 9');
    expect(await interrupt(apply(), 'bad', 'SIGKILL')).toBe(1);
    expect((await other.fleetctl('reconcile')).stderr).toContain('held: text');
    const fleetd = startFleetd();
    await fleetd.logged('leads', {}, SOON.timeout);
    await sleep(2000);
    await fleetd.end();
    expect((await apply().ended).status).toBe(1);
    expect((await startedWith('bad')).size).toBe(1);
    write('fourth');
    expect((await apply().ended).status).toBe(0);
    expect((await startedWith('fourth')).size).toBe(6);
    expect(await mostDown()).toBe(1);
  }, 300_000);
});
