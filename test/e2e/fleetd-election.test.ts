import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileStore } from '../../src/store/file.ts';
import { cluster, inside, insideAll, onMachines } from '../support/cluster.ts';
import { HAS_ETCD, TestEtcd } from '../support/etcd.ts';
import { whereRuns } from '../support/sight.ts';
import { eventually, type Fleetd, recruit } from './fleetd.ts';
import { hire } from './operator.ts';
import { SLEEPER } from './units.ts';

const TTL_MS = 5_000;
const PATIENCE_MS = 20_000;
const MACHINES = ['k1', 'k2', 'k3'];
const UNITS = ['web@1.service', 'web@2.service', 'web@3.service'];
/** Its document in the registry is not JSON. */
const DAMAGED = 'damaged.service';
/** Another id is another start. */
const INVOCATIONS = 'systemctl show --property=Id,InvocationID "web@*"';

const homesOf = (units: readonly string[]): readonly string[] =>
  units.map((unit) => `${whereRuns(unit, MACHINES)}`);

onMachines('two fleetd on one registry', () => {
  // Two of them cannot listen in one place.
  const operator = hire({ top: { agent_ttl: `${TTL_MS}ms`, listen: 'none' } });
  const start = recruit(operator);
  let leader: Fleetd;
  let other: Fleetd;

  beforeAll(async () => {
    operator.write('web@.service', SLEEPER);
    leader = start();
    await leader.said('leads');
    other = start();
    await other.said('stands-by');
    expect(await operator.fleetctl('start', ...UNITS)).toMatchObject({ status: 0 });
    operator.write(DAMAGED, SLEEPER);
    expect(await operator.fleetctl('start', DAMAGED)).toMatchObject({ status: 0 });
    const store = openFileStore(join(operator.folder, 'registry'));
    const key = `units/${DAMAGED}`;
    const ifRevision = (await store.get(key))?.revision ?? 0;
    await store.commit([{ kind: 'put', key, value: '{"version":1,', ifRevision }]);
    await store.close();
  });

  it('have one that decides, and another when that is killed', async () => {
    const before = await insideAll(MACHINES, INVOCATIONS);
    await leader.end('SIGKILL');
    await other.said('leads');
    expect(await insideAll(MACHINES, INVOCATIONS)).toEqual(before);
    await cluster('kill', 'k1');
    await other.said('move', { unit: 'web@1.service', from: 'k1' });
    await other.said('done', { unit: 'web@1.service' });
    await cluster('start', 'k1');
    await other.said('done', { unit: 'web@1.service', machine: 'k1' });
    expect(whereRuns('web@1.service', MACHINES)).toHaveLength(1);
  });

  it('have one that decides when the other was frozen and wakes', async () => {
    [leader, other] = [other, start()];
    await other.said('stands-by');
    const before = await insideAll(MACHINES, INVOCATIONS);
    leader.signal('SIGSTOP');
    await other.said('leads');
    await sleep(TTL_MS);
    leader.signal('SIGCONT');
    await leader.said('overslept');
    await leader.said('stands-by');
    expect(await insideAll(MACHINES, INVOCATIONS)).toEqual(before);
    expect(other.log.filter(({ event }) => event === 'move')).toEqual([]);
  });

  it('leave a unit alone that the registry cannot tell about, and only that one', async () => {
    expect(homesOf([DAMAGED])).toEqual(['k1']);
    const told = [leader, other].map(({ log }) => log.filter(({ unit }) => unit === DAMAGED));
    for (const lines of told) expect(lines.at(-1)?.event).toBe('unreadable');
    const { status, stdout } = await operator.fleetctl('start', 'web@4');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^Unit web@4\.service launched on /)]);
    const stopped = await operator.fleetctl('stop', DAMAGED);
    expect([stopped.status, stopped.stderr]).toEqual([
      1,
      expect.stringContaining(`Cannot read "units/${DAMAGED}" of the registry: not JSON`),
    ]);
    expect(homesOf([DAMAGED])).toEqual(['k1']);
  });

  it('hand over when the one that decides is told to end', async () => {
    const next = start();
    await next.said('stands-by');
    await leader.end();
    expect(await other.end()).toBe(0);
    await next.said('leads');
  });
});

onMachines('fleetd with a registry in etcd', () => {
  describe.runIf(HAS_ETCD)('of three', () => {
    const operator = hire();
    const start = recruit(operator);
    let etcd: TestEtcd;
    let fleetd: Fleetd;
    const killEtcd = () => Promise.all(etcd.members.map((member) => member.kill()));

    beforeAll(async () => {
      etcd = await TestEtcd.start({ members: 3 });
      const members = etcd.members.map(({ port }) => `127.0.0.1:${port}`).join(',');
      operator.configure({ top: { agent_ttl: `${TTL_MS}ms`, registry: `etcd://${members}/fleet` } });
      operator.write('web@.service', SLEEPER);
      fleetd = start();
      await fleetd.said('leads');
      expect(await operator.fleetctl('start', ...UNITS)).toMatchObject({ status: 0 });
    });
    afterAll(() => etcd.end());

    it('moves units though a member of etcd dies meanwhile', async () => {
      await cluster('kill', 'k1');
      await fleetd.said('machine-lost', { machine: 'k1' });
      await etcd.members[0]?.kill();
      await fleetd.said('done', { unit: 'web@1.service', machine: 'k2' }, 2 * PATIENCE_MS);
      await cluster('start', 'k1');
      await eventually(
        () => `${homesOf(UNITS)}` === 'k2,k2,k3',
        PATIENCE_MS,
        () => `one copy of each: ${homesOf(UNITS)}\n${fleetd.text}`,
      );
      etcd.members[0]?.start();
    });

    it('moves, stops and starts nothing while etcd is away, nor when it is back', async () => {
      const before = await insideAll(MACHINES, INVOCATIONS);
      await killEtcd();
      await fleetd.said('election-failed');
      await cluster('kill', 'k3');
      await sleep(2 * TTL_MS);
      await cluster('start', 'k3');
      for (const member of etcd.members) member.start();
      await etcd.ready();
      const isBack = () =>
        fleetd.log.findLast(({ event }) => /leads|stands-by/.test(event))?.event === 'leads';
      await eventually(isBack, PATIENCE_MS, () => fleetd.text);
      await sleep(TTL_MS);
      expect((await insideAll(MACHINES, INVOCATIONS)).slice(0, 2)).toEqual(before.slice(0, 2));
      expect(homesOf(UNITS)).toEqual(['k2', 'k2', 'k3']);
    });

    it('is not needed by what runs, and neither is etcd', async () => {
      const before = await insideAll(MACHINES, INVOCATIONS);
      await fleetd.end('SIGKILL');
      await killEtcd();
      await sleep(TTL_MS);
      expect(await insideAll(MACHINES, INVOCATIONS)).toEqual(before);
      expect(await inside('k2', 'systemctl is-active web@1')).toBe('active\n');
    });
  });
});
