import { describe, expect, it } from 'vitest';
import { copyRegistry } from '../../src/operations/copy-registry.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import type { Store } from '../../src/store/store.ts';
import { desiredUnit, NOW } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

function registryOver(store: Store): Registry {
  return createRegistry(store, { clock: { now: () => NOW }, author: 'me@here' });
}

/** A registry of two units, after some changes. */
async function filled(): Promise<Store> {
  const store = createMemoryStore();
  const registry = registryOver(store);
  for (const name of ['a.service', 'b.service', 'a.service']) {
    const { text, hash, digest } = desiredUnit(name);
    const unit = { name, text, hash, digest, target: 'launched', machine: undefined } as const;
    await registry.update(() => [{ kind: 'put-unit', unit }]);
  }
  return store;
}

describe('a copy of a registry', () => {
  it('has the same content, and later tokens', async () => {
    const [from, to] = [await filled(), createMemoryStore()];
    const before = await registryOver(from).load();
    expect(await copyRegistry(from, to)).toEqual({ clusterId: before.clusterId, units: 2, records: 9 });
    const after = await registryOver(to).load();
    expect(after.clusterId).toBe(before.clusterId);
    expect(after.history('a.service')).toEqual(before.history('a.service'));
    for (const [name, unit] of before.units) {
      const { token = 0, ...rest } = after.units.get(name) ?? {};
      expect(rest).toEqual({ ...unit, token: undefined });
      expect(token).toBeGreaterThan(before.token);
    }
  });

  it('keeps increasing from copy to copy, in both directions', async () => {
    let store = await filled();
    let last = (await registryOver(store).load()).token;
    for (let copies = 0; copies < 3; copies++) {
      const next = createMemoryStore();
      await copyRegistry(store, next);
      const { token } = await registryOver(next).load();
      expect(token).toBeGreaterThan(last);
      [store, last] = [next, token];
    }
  });

  it('is refused where something is, and changes nothing there', async () => {
    const [from, to] = [await filled(), await filled()];
    const before = await to.list('');
    await expect(copyRegistry(from, to)).rejects.toMatchObject({ code: 'not-copyable' });
    expect(await to.list('')).toEqual(before);
  });

  it('is refused of nothing', async () => {
    const to = createMemoryStore();
    await expect(copyRegistry(createMemoryStore(), to)).rejects.toThrow('it is empty');
    expect((await to.list('')).revision).toBe(0);
  });

  it('is removed when the registry was changed during the copy', async () => {
    const [from, to] = [await filled(), createMemoryStore()];
    const busy: Store = {
      ...to,
      commit: async (changes) => {
        await from.commit([{ kind: 'put', key: 'machines/x', value: '{"version":1}', ifRevision: 0 }]);
        return to.commit(changes);
      },
    };
    await expect(copyRegistry(from, busy)).rejects.toThrow('it was changed during the copy');
    expect((await to.list('')).records).toEqual([]);
  });

  it('is found out when it is not the same', async () => {
    const [from, to] = [await filled(), createMemoryStore()];
    const lossy: Store = { ...to, commit: (changes) => to.commit(changes.slice(1)) };
    await expect(copyRegistry(from, lossy)).rejects.toThrow('the copy differs');
  });
});
