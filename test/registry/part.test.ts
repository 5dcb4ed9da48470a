import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { Part } from '../../src/registry/part.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import type { Store } from '../../src/store/store.ts';
import { desiredUnit } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const OPTIONS = { clock: { now: () => 1_000 }, author: 'me@here' };
const named = (index: number, text?: string) =>
  desiredUnit(`u${index}.service`, '', text === undefined ? {} : { text });

/** A store that counts what it lists; `before` runs before each list. */
function watched(store: Store, before: (lists: number) => Promise<unknown> = async () => undefined) {
  const lists: (readonly string[])[] = [];
  const keys: string[] = [];
  return {
    lists,
    keys,
    store: {
      ...store,
      async list(...prefixes: readonly string[]) {
        await before(lists.length);
        lists.push(prefixes);
        const listing = await store.list(...prefixes);
        keys.push(...listing.records.map(({ key }) => key));
        return listing;
      },
    } satisfies Store,
  };
}

async function filled(count: number): Promise<Store> {
  const store = createMemoryStore();
  const units = Array.from({ length: count }, (_, index) =>
    named(index, `[Service]\nExecStart=/bin/${index}\n`),
  );
  await createRegistry(store, OPTIONS).update(() => units.map((unit) => ({ kind: 'put-unit', unit })));
  return store;
}

describe('a part of the registry', () => {
  it('has only the documents that are used, in few lists', async () => {
    const seen = watched(await filled(20));
    const registry = createRegistry(seen.store, OPTIONS);
    const text = await registry.read(({ units }) => units.get('u7.service')?.text);
    expect(text).toBe('[Service]\nExecStart=/bin/7\n');
    expect(seen.lists).toHaveLength(2);
    expect(new Set(seen.keys)).toEqual(
      new Set(['cluster', 'units/u7.service', `contents/${sha256(text ?? '')}`]),
    );
  });

  it.each<[string, (view: RegistryView) => unknown]>([
    ['the names of units', ({ unitNames }) => unitNames],
    ['a unit that does not exist', ({ units }) => units.get('none.service')],
    ['all units', ({ units }) => [...units.values()]],
    ['the size', ({ units }) => units.size],
    ['the history of a unit', (view) => view.history('u3.service')],
    ['a unit that was lost', (view) => view.lost('none.service')],
    ['the machines', ({ machines }) => [...machines]],
    ['the events', ({ events }) => events],
    ['the token', ({ token }) => token],
    ['the revision', ({ revision }) => revision],
    ['the cluster', ({ clusterId }) => clusterId],
    ['the unreadable units', ({ unreadable }) => [...unreadable.keys()]],
    [
      'units one after another',
      ({ units }) => [1, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => units.get(`u${at}.service`)),
    ],
  ])('gives what the whole registry gives: %s', async (_, use) => {
    const registry = createRegistry(await filled(12), OPTIONS);
    expect(await registry.read(use)).toEqual(use(await registry.load()));
  });

  it('is of one revision, however many commits come between its lists', async () => {
    const store = await filled(3);
    const writer = createRegistry(store, OPTIONS);
    const both = (at: number) =>
      writer.update(() =>
        [0, 1].map((index) => ({
          kind: 'put-unit',
          unit: named(index, `[Service]\nExecStart=/bin/${at}\n`),
        })),
      );
    const seen = watched(store, both);
    const [one, other] = await createRegistry(seen.store, OPTIONS).read(({ units }) =>
      [0, 1].map((index) => units.get(`u${index}.service`)?.text),
    );
    expect(seen.lists.length).toBeGreaterThan(1);
    expect(one).toMatch(/\/\d+\n$/);
    expect(other).toBe(one);
  });

  it('is read whole after a few lists', async () => {
    const seen = watched(await filled(50));
    const registry = createRegistry(seen.store, OPTIONS);
    expect(await registry.read(({ units }) => units.size)).toBe(50);
    expect(seen.lists.length).toBeLessThanOrEqual(6);
    expect(seen.lists.at(-1)).toContain('');
  });

  it('does not hide the loss of the cluster document', async () => {
    const store = await filled(2);
    const { records } = await store.list('cluster');
    await store.commit([{ kind: 'delete', key: 'cluster', ifRevision: records[0]?.revision ?? 0 }]);
    const registry = createRegistry(store, OPTIONS);
    await expect(registry.read(({ clusterId }) => clusterId)).rejects.toMatchObject({
      code: 'registry-corrupt',
    });
  });
});

describe('a change of a part of the registry', () => {
  it('stores what a change of the whole stores', async () => {
    const [part, whole] = [await filled(9), await filled(9)];
    const unit = named(1, '[Service]\nExecStart=/bin/new\n');
    await createRegistry(part, OPTIONS).change(
      ({ units }) => (units.has(unit.name) ? [{ kind: 'put-unit', unit }] : []),
      () => undefined,
    );
    await createRegistry(whole, OPTIONS).update(() => [{ kind: 'put-unit', unit }]);
    const contents = async (store: Store) =>
      (await store.list('')).records.filter(({ key }) => key !== 'cluster');
    expect(await contents(part)).toEqual(await contents(whole));
  });

  it('returns the view after it, also for documents that only that one needs', async () => {
    const registry = createRegistry(await filled(9), OPTIONS);
    const [unit, entries] = await registry.change(
      () => [{ kind: 'put-unit', unit: named(1, '[Service]\nExecStart=/bin/new\n') }],
      (after) => [after.units.get('u1.service'), after.history('u2.service')],
    );
    const view = await registry.load();
    expect([unit, entries]).toEqual([view.units.get('u1.service'), view.history('u2.service')]);
    expect(unit).toMatchObject({ text: '[Service]\nExecStart=/bin/new\n', token: view.revision });
  });

  it('is decided again after a change of a unit that it has not read', async () => {
    const store = await filled(3);
    let isLate = false;
    const racing: Store = {
      ...store,
      async commit(changes) {
        if (!isLate) {
          isLate = true;
          await createRegistry(store, OPTIONS).update(() => [
            { kind: 'put-unit', unit: named(2, '[Service]\nExecStart=/bin/other\n') },
          ]);
        }
        return store.commit(changes);
      },
    };
    const revisions = new Set<number>();
    await createRegistry(racing, OPTIONS).change(
      ({ units, revision }) => {
        if (!units.has('u1.service')) return [];
        revisions.add(revision);
        return [{ kind: 'put-unit', unit: named(1, '[Service]\nExecStart=/bin/mine\n') }];
      },
      () => undefined,
    );
    expect([...revisions]).toEqual([1, 2]);
    const { units } = await createRegistry(store, OPTIONS).load();
    expect([units.get('u1.service')?.text, units.get('u2.service')?.text]).toEqual([
      '[Service]\nExecStart=/bin/mine\n',
      '[Service]\nExecStart=/bin/other\n',
    ]);
  });
});

it('a part finds the same records by many searches as by few', () => {
  const records = ['a', 'b', 'c', 'd'].map((key) => ({ key, value: `value of ${key}`, revision: 1 }));
  const part = new Part({ revision: 1, records }, ['']);
  for (let round = 0; round < 5; round++) {
    for (const record of records) expect(part.find(record.key)).toBe(record);
    for (const key of ['', 'aa', 'e']) expect(part.find(key)).toBeUndefined();
  }
});
