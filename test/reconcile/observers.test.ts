import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { observeCluster } from '../../src/operations/observe-cluster.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { NOW, TTL_MS } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { decisionsOf, Scene } from './scene.ts';

const NAMES = ['m1', 'm2', 'm3'];
const HOUR_MS = 3_600_000;

/** Operator A with a unit on m1, and operator B on the same registry, whose computer was started at another time. */
async function arrange({ ahead = 0 }: { readonly ahead?: number } = {}) {
  const store = createMemoryStore();
  const a = new Scene(NAMES, store);
  const b = new Scene(NAMES, store, a);
  await a.want('launched', '', 'u.service');
  await a.pass();
  const clock = { now: () => a.clock.time + ahead };
  const registry = createRegistry(store, { clock, author: 'b@there' });
  const observer = { id: 'b', uptime: { now: () => a.clock.time - NOW } };
  const ports = { ...b.ports, registry, clock, observer };
  const disconnect = (): void => {
    for (const { driver } of [a, b]) driver.disconnect('m1');
  };
  const heal = (): void => {
    for (const { driver } of [a, b]) driver.heal('m1');
  };
  const decisionOfA = async (): Promise<string | undefined> => decisionsOf(await a.pass())[0];
  const decisionOfB = async () => decisionsOf(await reconcile(ports, new Set(['u.service'])))[0];
  const known = async () => (await a.registry.load()).machines.get('m1');
  return { a, b, disconnect, heal, list: () => observeCluster(ports), decisionOfA, decisionOfB, known };
}

describe('the unreachable time that another operator has seen', () => {
  for (const ahead of [0, HOUR_MS, -HOUR_MS, 24 * HOUR_MS]) {
    it(`moves nothing before agent_ttl of this observer; the clock there is ${ahead} ms ahead`, async () => {
      const { a, disconnect, list, decisionOfA, decisionOfB } = await arrange({ ahead });
      disconnect();
      await list();
      a.clock.time += TTL_MS - 1;
      // B has seen it for that long; A looks for the first time.
      expect(await decisionOfA()).toBe('u.service keep');
      a.clock.time += 1;
      expect(await decisionOfA()).toBe('u.service keep');
      a.clock.time += TTL_MS - 2;
      expect(await decisionOfA()).toBe('u.service keep');
      a.clock.time += 1;
      expect(await decisionOfA()).toBe('u.service move');
      expect(await decisionOfB()).toBe('u.service keep');
    });
  }

  it('counts for that operator, who is not disturbed by ours', async () => {
    const { a, disconnect, list, decisionOfA, decisionOfB } = await arrange({ ahead: -HOUR_MS });
    disconnect();
    await list();
    await decisionOfA();
    a.clock.time += TTL_MS;
    expect(await decisionOfB()).toBe('u.service move');
  });

  it('noted by version 0.1.0 moves nothing, and is left to it while the machine is unreachable', async () => {
    const { a, disconnect, heal, decisionOfA, known } = await arrange();
    disconnect();
    const old = {
      id: (await known())?.id,
      silentSince: NOW - HOUR_MS,
      backSince: undefined,
      cordon: undefined,
    };
    await a.registry.update(() => [{ kind: 'put-machine', name: 'm1', known: old }]);
    expect(await decisionOfA()).toBe('u.service keep');
    a.clock.time += TTL_MS - 1;
    expect(await decisionOfA()).toBe('u.service keep');
    expect(await known()).toMatchObject({ silentSince: NOW - HOUR_MS });
    heal();
    await decisionOfA();
    expect(await known()).toMatchObject({
      silentSince: undefined,
      silence: undefined,
      backSince: NOW + TTL_MS - 1,
    });
  });
});

describe('errors that do not count as unreachable', () => {
  for (const code of ['ssh-host-key', 'ssh-name', 'ssh-authentication', 'remote-script'] as const) {
    it(`are not recorded: ${code}`, async () => {
      const { a, b, list, known } = await arrange();
      const before = [await known(), (await a.registry.load()).revision];
      for (const { driver } of [a, b]) driver.trouble('m1').silent = new FleetError(code, 'It is mine');
      await list();
      await a.pass();
      expect([await known(), (await a.registry.load()).revision]).toEqual(before);
    });

    it(`ends the unreachable time that was seen before: ${code}`, async () => {
      const { a, disconnect, decisionOfA } = await arrange();
      disconnect();
      await decisionOfA();
      a.clock.time += TTL_MS;
      a.driver.trouble('m1').silent = new FleetError(code, 'It is mine');
      expect(await decisionOfA()).toBe('u.service keep');
      disconnect();
      expect(await decisionOfA()).toBe('u.service keep');
    });
  }
});

describe('what an observer has seen', () => {
  it('does not count as unreachable in between when the observations are an hour apart', async () => {
    const { a, disconnect, decisionOfA } = await arrange();
    disconnect();
    await decisionOfA();
    a.clock.time += HOUR_MS + 1;
    expect(await decisionOfA()).toBe('u.service keep');
    a.clock.time += TTL_MS;
    expect(await decisionOfA()).toBe('u.service move');
  });

  it('is dropped when it lies in the future, because the computer was rebooted', async () => {
    const { a, disconnect, decisionOfA } = await arrange();
    disconnect();
    await decisionOfA();
    a.ports.observer.uptime.now = () => a.clock.time - NOW;
    a.clock.time += TTL_MS;
    expect(await decisionOfA()).toBe('u.service keep');
  });

  it('is written once, and again only from time to time', async () => {
    const { a, disconnect, decisionOfA } = await arrange();
    disconnect();
    await decisionOfA();
    const { revision } = await a.registry.load();
    for (const ms of [1, 1_000, TTL_MS - 1_002]) {
      a.clock.time += ms;
      await decisionOfA();
    }
    expect((await a.registry.load()).revision).toBe(revision);
  });

  it('that a machine is back is never in the future', async () => {
    const { a, disconnect, heal, list, decisionOfA, known } = await arrange({ ahead: HOUR_MS });
    disconnect();
    await list();
    heal();
    await list();
    expect((await known())?.backSince).toBe(NOW + HOUR_MS);
    await decisionOfA();
    expect((await known())?.backSince).toBe(a.clock.time);
  });
});
