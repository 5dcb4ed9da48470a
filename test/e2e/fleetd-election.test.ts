import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileStore } from '../../src/store/file.ts';
import { cluster, inside, insideAll, MACHINES, machinesRunning, onMachines } from '../support/cluster.ts';
import { HAS_ETCD, TestEtcd } from '../support/etcd.ts';
import { eventually, type Fleetd, fleetdStarter } from './fleetd.ts';
import { createOperator, SLEEPER } from './operator.ts';

const TTL_MS = 5_000;
const DEADLINE_MS = 20_000;
const UNITS = ['web@1.service', 'web@2.service', 'web@3.service'];
/** Its document in the registry is not JSON. */
const DAMAGED = 'damaged.service';
/** Each start has another invocation id. */
const INVOCATIONS = 'systemctl show --property=Id,InvocationID "web@*"';

const homesOf = (units: readonly string[]): readonly string[] =>
  units.map((unit) => `${machinesRunning(unit, MACHINES)}`);

onMachines('two fleetd with one registry', () => {
  // Two processes cannot listen on the same socket.
  const operator = createOperator({ top: { agent_ttl: `${TTL_MS}ms`, listen: 'none' } });
  const start = fleetdStarter(operator);
  let leader: Fleetd;
  let other: Fleetd;

  beforeAll(async () => {
    operator.write('web@.service', SLEEPER);
    leader = start();
    await leader.logged('leads');
    other = start();
    await other.logged('stands-by');
    expect(await operator.fleetctl('start', ...UNITS)).toMatchObject({ status: 0 });
    operator.write(DAMAGED, SLEEPER);
    expect(await operator.fleetctl('start', DAMAGED)).toMatchObject({ status: 0 });
    const store = openFileStore(join(operator.folder, 'registry'));
    const key = `units/${DAMAGED}`;
    const ifRevision = (await store.get(key))?.revision ?? 0;
    await store.commit([{ kind: 'put', key, value: '{"version":1,', ifRevision }]);
    await store.close();
  });

  it('elect a leader, and the standby takes over when the leader is killed', async () => {
    const before = await insideAll(MACHINES, INVOCATIONS);
    await leader.end('SIGKILL');
    await other.logged('leads');
    expect(await insideAll(MACHINES, INVOCATIONS)).toEqual(before);
    await cluster('kill', 'k1');
    await other.logged('move', { unit: 'web@1.service', from: 'k1' });
    await other.logged('done', { unit: 'web@1.service' });
    await cluster('start', 'k1');
    await other.logged('done', { unit: 'web@1.service', machine: 'k1' });
    expect(machinesRunning('web@1.service', MACHINES)).toHaveLength(1);
  });

  it('keep one leader when the former one was frozen and resumes', async () => {
    [leader, other] = [other, start()];
    await other.logged('stands-by');
    const before = await insideAll(MACHINES, INVOCATIONS);
    leader.signal('SIGSTOP');
    await other.logged('leads');
    await sleep(TTL_MS);
    leader.signal('SIGCONT');
    await leader.logged('paused');
    await leader.logged('stands-by');
    expect(await insideAll(MACHINES, INVOCATIONS)).toEqual(before);
    expect(other.log.filter(({ event }) => event === 'move')).toEqual([]);
  });

  it('leave a unit unchanged whose registry document is damaged, and manage the others', async () => {
    expect(homesOf([DAMAGED])).toEqual(['k1']);
    const logs = [leader, other].map(({ log }) => log.filter(({ unit }) => unit === DAMAGED));
    for (const lines of logs) expect(lines.at(-1)?.event).toBe('unreadable');
    const { status, stdout } = await operator.fleetctl('start', 'web@4');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^Unit web@4\.service launched on /)]);
    const stopped = await operator.fleetctl('stop', DAMAGED);
    expect([stopped.status, stopped.stderr]).toEqual([
      1,
      expect.stringContaining(`Cannot read "units/${DAMAGED}" of the registry: not JSON`),
    ]);
    expect(homesOf([DAMAGED])).toEqual(['k1']);
  });

  it('hand over when the leader is stopped', async () => {
    const next = start();
    await next.logged('stands-by');
    await leader.end();
    expect(await other.end()).toBe(0);
    await next.logged('leads');
  });
});

onMachines('fleetd with a registry in etcd', () => {
  describe.runIf(HAS_ETCD)('of three members', () => {
    const operator = createOperator();
    const start = fleetdStarter(operator);
    let etcd: TestEtcd;
    let fleetd: Fleetd;
    const killEtcd = () => Promise.all(etcd.members.map((member) => member.kill()));

    beforeAll(async () => {
      etcd = await TestEtcd.start({ members: 3 });
      const members = etcd.members.map(({ port }) => `127.0.0.1:${port}`).join(',');
      operator.configure({ top: { agent_ttl: `${TTL_MS}ms`, registry: `etcd://${members}/fleet` } });
      operator.write('web@.service', SLEEPER);
      fleetd = start();
      await fleetd.logged('leads');
      expect(await operator.fleetctl('start', ...UNITS)).toMatchObject({ status: 0 });
    });
    afterAll(() => etcd.end());

    it('moves units while a member of etcd is down', async () => {
      await cluster('kill', 'k1');
      await fleetd.logged('machine-lost', { machine: 'k1' });
      await etcd.members[0]?.kill();
      await fleetd.logged('done', { unit: 'web@1.service', machine: 'k2' }, 2 * DEADLINE_MS);
      await cluster('start', 'k1');
      await eventually(
        () => `${homesOf(UNITS)}` === 'k2,k2,k3',
        DEADLINE_MS,
        () => `one copy of each: ${homesOf(UNITS)}\n${fleetd.text}`,
      );
      etcd.members[0]?.start();
    });

    it('moves, stops and starts nothing while etcd is down, nor when it is back', async () => {
      const before = await insideAll(MACHINES, INVOCATIONS);
      await killEtcd();
      await fleetd.logged('election-failed');
      await cluster('kill', 'k3');
      await sleep(2 * TTL_MS);
      await cluster('start', 'k3');
      for (const member of etcd.members) member.start();
      await etcd.ready();
      const isBack = () =>
        fleetd.log.findLast(({ event }) => /leads|stands-by/.test(event))?.event === 'leads';
      await eventually(isBack, DEADLINE_MS, () => fleetd.text);
      await sleep(TTL_MS);
      expect((await insideAll(MACHINES, INVOCATIONS)).slice(0, 2)).toEqual(before.slice(0, 2));
      expect(homesOf(UNITS)).toEqual(['k2', 'k2', 'k3']);
    });

    it('is not needed by running units, and neither is etcd', async () => {
      const before = await insideAll(MACHINES, INVOCATIONS);
      await fleetd.end('SIGKILL');
      await killEtcd();
      await sleep(TTL_MS);
      expect(await insideAll(MACHINES, INVOCATIONS)).toEqual(before);
      expect(await inside('k2', 'systemctl is-active web@1')).toBe('active\n');
    });
  });
});
