import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { inside, insideAll, MACHINES, machinesRunning, onMachines, SUBNET } from '../support/cluster.ts';
import { type Fleetd, fleetdStarter } from './fleetd.ts';
import { createOperator, done, service } from './operator.ts';

/** How long an unwanted action of fleetd is waited for, in ms: three polls. */
const LOOKS_MS = 3_000;

/** Logs each start. */
const WEB = service(`ExecStart=/bin/sh -c 'echo %n >>/var/log/starts; exec sleep 100000'`);

onMachines('commands with a fleetd running', () => {
  const operator = createOperator({ top: { agent_ttl: '3s' } });
  const start = fleetdStarter(operator);
  let fleetd: Fleetd;

  /** The number of starts of a unit on all machines. */
  const starts = async (unit: string): Promise<number> => {
    const found = await insideAll(MACHINES, `grep -c '^${unit}$' /var/log/starts || true`);
    return found.reduce((sum, count) => sum + Number(count), 0);
  };

  beforeAll(async () => {
    await insideAll(MACHINES, 'rm -f /var/log/starts');
    operator.write('web@.service', WEB);
    fleetd = start();
    await fleetd.logged('leads');
  });

  it('start a unit once', async () => {
    const units = Array.from({ length: 12 }, (_, i) => `web@${i}.service`);
    const { status, stderr, stdout } = await operator.fleetctl('start', ...units);
    expect({ status, stderr, stdout }).toMatchObject({ status: 0, stderr: '' });
    expect(stdout.match(/launched on/g)).toHaveLength(12);
    await sleep(LOOKS_MS);
    expect(await Promise.all(units.map(starts))).toEqual(units.map(() => 1));
  });

  it('restart a unit once for a new text', async () => {
    operator.write('web@.service', `${WEB}# another\n`);
    expect(await operator.fleetctl('start', '--replace', 'web@1')).toMatchObject({ status: 0 });
    expect(await operator.fleetctl('restart', 'web@2')).toMatchObject({ status: 0, stderr: '' });
    await sleep(LOOKS_MS);
    expect([await starts('web@1.service'), await starts('web@2.service')]).toEqual([2, 2]);
  });

  it('stop a unit permanently', async () => {
    expect(await operator.fleetctl('stop', 'web@1')).toMatchObject({ status: 0, stderr: '' });
    expect(await operator.fleetctl('destroy', 'web@2')).toMatchObject({ status: 0, stderr: '' });
    await sleep(LOOKS_MS);
    for (const unit of ['web@1.service', 'web@2.service'])
      expect(machinesRunning(unit, MACHINES)).toEqual([]);
  });

  it('start a stopped unit again', async () => {
    expect(await operator.fleetctl('start', 'web@1')).toEqual(
      done(`Unit web@1.service launched on 00000000.../${SUBNET}.2`),
    );
    expect(await starts('web@1.service')).toBe(3);
  });

  it('drain a machine, and start each of its units once elsewhere', async () => {
    const left = ['web@3.service', 'web@6.service', 'web@9.service'];
    const here = left.filter((unit) => machinesRunning(unit, MACHINES).includes('k1'));
    expect(await operator.fleetctl('drain', '--max-parallel=3', 'k1')).toMatchObject({ status: 0 });
    await sleep(LOOKS_MS);
    expect(await inside('k1', 'systemctl list-units --plain --no-legend --state=running "web@*"')).toBe('');
    expect(await Promise.all(here.map(starts))).toEqual(here.map(() => 2));
  });

  it('cause no failed step of fleetd', () => {
    const failures = fleetd.log.filter(({ event }) => event === 'failed' || event === 'pass-failed');
    expect(failures).toEqual([]);
  });
});
