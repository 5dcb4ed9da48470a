import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Edit, type StoredUnit, UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import type { Change, Store } from '../../src/store/store.ts';
import { desiredUnit, idOf, NOW } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

function registryOver(store: Store, author = 'me@here'): Registry {
  let now = NOW;
  return createRegistry(store, { clock: { now: () => now++ }, author });
}

/** A unit as it is stored; the text tells one version from another. */
function unit(name: string, version = 'first', changes: Partial<StoredUnit> = {}): StoredUnit {
  const { text, hash, digest } = desiredUnit(name, '', {
    text: `[Service]\nExecStart=/bin/echo ${version}\n`,
  });
  return { name, text, hash, digest, target: 'inactive', machine: undefined, ...changes };
}

const put = (stored: StoredUnit): Edit => ({ kind: 'put-unit', unit: stored });

/** A store in which another process commits first, `times` times. */
function slow(store: Store, times: number, theirs: () => Promise<unknown>): Store {
  let left = times;
  return {
    ...store,
    commit: async (changes) => {
      if (left-- > 0) await theirs();
      return store.commit(changes);
    },
  };
}

/** A store that notes what it is asked to commit. */
function watched(store: Store): { readonly store: Store; readonly commits: (readonly Change[])[] } {
  const commits: (readonly Change[])[] = [];
  const commit = (changes: readonly Change[]): ReturnType<Store['commit']> => {
    commits.push(changes);
    return store.commit(changes);
  };
  return { store: { ...store, commit }, commits };
}

describe('a registry', () => {
  it('holds nothing before the first change, not even a cluster id', async () => {
    const view = await registryOver(createMemoryStore()).load();
    expect([view.revision, view.clusterId, view.units.size, view.machines.size]).toEqual([
      0,
      undefined,
      0,
      0,
    ]);
  });

  it('gives back what was put, with what its text asks for', async () => {
    const registry = registryOver(createMemoryStore());
    const stored = unit('web.service', 'first', { target: 'launched', machine: idOf('m1') });
    await registry.update(() => [put(stored)]);
    const view = await registry.load();
    expect(view.units.get('web.service')).toEqual({
      ...stored,
      placement: desiredUnit('web.service').placement,
      triggers: undefined,
      dependencies: [],
      token: view.revision,
    });
  });

  it('remembers a verdict on a text beside the new text of the same change, and without a turn', async () => {
    const { store, commits } = watched(createMemoryStore());
    const registry = registryOver(store);
    const [first, second] = [unit('web.service'), unit('web.service', 'second')];
    const judge = (verdict: 'good' | 'failed', { digest }: StoredUnit): Edit => ({
      kind: 'judge-text',
      unit: 'web.service',
      digest,
      verdict,
    });
    await registry.update(() => [put(first)]);
    await registry.update(() => [judge('good', first), put(second), judge('failed', second)]);
    const view = await registry.load();
    expect(
      view.history('web.service').map(({ digest }) => view.verdicts('web.service')[digest]?.kind),
    ).toEqual(['good', 'failed']);
    await registry.update(() => [judge('good', second)]);
    expect(commits.at(-1)?.map(({ key }) => key)).toEqual(['history/web.service']);
    expect((await registry.load()).verdicts('web.service')[first.digest]?.kind).toBe('good');
  });

  it('lists units by name, whatever the order in which they came', async () => {
    const registry = registryOver(createMemoryStore());
    for (const name of ['c.service', 'a.service', 'b@2.service', 'b@10.service']) {
      await registry.update(() => [put(unit(name))]);
    }
    const names = [...(await registry.load()).units.keys()];
    expect(names).toEqual(['a.service', 'b@10.service', 'b@2.service', 'c.service']);
  });

  it('returns from a change what loading gives afterwards', async () => {
    const registry = registryOver(createMemoryStore());
    await registry.update(() => [put(unit('a.service')), put(unit('b.service'))]);
    const changed = await registry.update(() => [
      put(unit('a.service', 'second')),
      { kind: 'delete-unit', name: 'b.service' },
      {
        kind: 'put-machine',
        name: 'm1',
        known: { id: idOf('m1'), silentSince: undefined, backSince: undefined, cordon: undefined },
      },
    ]);
    const loaded = await registry.load();
    expect(changed.units).toEqual(loaded.units);
    expect(changed.machines).toEqual(loaded.machines);
    expect([changed.revision, changed.clusterId]).toEqual([loaded.revision, loaded.clusterId]);
    expect(changed.history('a.service')).toEqual(loaded.history('a.service'));
  });

  it('makes its cluster id once, with the first change of any kind', async () => {
    const edits: readonly Edit[] = [
      put(unit('a.service')),
      {
        kind: 'put-machine',
        name: 'm1',
        known: { id: undefined, silentSince: NOW, backSince: undefined, cordon: undefined },
      },
    ];
    const ids = new Set<string | undefined>();
    for (const edit of edits) {
      const registry = registryOver(createMemoryStore());
      const first = (await registry.update(() => [edit])).clusterId;
      expect(first).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      await registry.update(() => [put(unit('b.service'))]);
      expect((await registry.load()).clusterId).toBe(first);
      ids.add(first);
    }
    expect(ids.size).toBe(2);
  });

  it('gives units tokens that are the revision of their last change, and only then', async () => {
    const registry = registryOver(createMemoryStore());
    const tokens: number[] = [];
    for (const version of ['first', 'first', 'second', 'first']) {
      const view = await registry.update(() => [put(unit('a.service', version))]);
      expect(view.units.get('a.service')?.token).toBe(view.revision);
      tokens.push(view.revision);
    }
    expect(tokens).toEqual([1, 2, 3, 4]);
    const later = await registry.update(() => [put(unit('b.service'))]);
    expect(later.units.get('a.service')?.token).toBe(4);
  });

  it('never gives a token twice, not even to a unit that was destroyed', async () => {
    const registry = registryOver(createMemoryStore());
    await registry.update(() => [put(unit('a.service'))]);
    const destroyed = await registry.update(() => [{ kind: 'delete-unit', name: 'a.service' }]);
    const again = await registry.update(() => [put(unit('a.service'))]);
    expect(destroyed.units.size).toBe(0);
    expect([destroyed.revision, again.units.get('a.service')?.token]).toEqual([2, 3]);
  });

  it('remembers machines, and forgets what is not known of them any more', async () => {
    const registry = registryOver(createMemoryStore());
    const remember = (silentSince: number | undefined): Promise<unknown> =>
      registry.update(() => [
        {
          kind: 'put-machine',
          name: 'm1',
          known: { id: idOf('m1'), silentSince, backSince: undefined, cordon: undefined },
        },
      ]);
    await remember(NOW);
    expect((await registry.load()).machines.get('m1')).toEqual({ id: idOf('m1'), silentSince: NOW });
    await remember(undefined);
    expect((await registry.load()).machines.get('m1')).toEqual({ id: idOf('m1'), silentSince: undefined });
  });

  it('keeps the assignment out of a unit that has none', async () => {
    const registry = registryOver(createMemoryStore());
    await registry.update(() => [put(unit('a.service', 'first', { machine: idOf('m1') }))]);
    const view = await registry.update(() => [put(unit('a.service'))]);
    expect(view.units.get('a.service')).toMatchObject({ machine: undefined });
  });

  it('in a folder gives the same view until something changes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fleet-registry-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const [registry, other] = [openFileStore(folder), openFileStore(folder)].map((store) =>
      registryOver(store),
    );
    await other?.update(() => [put(unit('a.service'))]);
    const view = await registry?.load();
    expect(await registry?.load()).toBe(view);
    expect(view?.allUnits).toBe(view?.allUnits);
    await other?.update(() => [put(unit('a.service', 'second'))]);
    const next = await registry?.load();
    expect([next?.revision, next?.history('a.service').length]).toEqual([2, 2]);
    await Promise.all([registry?.close(), other?.close()]);
  });

  it('knows which machines have units, without those that only a text or a history names', async () => {
    const registry = registryOver(createMemoryStore());
    const view = await registry.update(() => [
      put(unit('a.service', 'first', { machine: idOf('m1') })),
      put(unit('b.service', idOf('m2'))),
    ]);
    expect(['m1', 'm2'].map((name) => view.hasUnitsOn(idOf(name)))).toEqual([true, false]);
  });

  it('tells of a change since a view, also of one that was made before it was asked', async () => {
    const store = createMemoryStore();
    const [mine, yours] = [registryOver(store), registryOver(store)];
    const before = await mine.load();
    const waiting = mine.waitForChange(before, AbortSignal.timeout(3000));
    const after = await yours.update(() => [put(unit('web.service'))]);
    expect(await waiting).toBe(true);
    expect(await mine.waitForChange(before, AbortSignal.timeout(3000))).toBe(true);
    expect(await mine.waitForChange(after, AbortSignal.timeout(10))).toBe(false);
  });

  it('tells of the change of another process that was made between its own read and commit, and decides on it', async () => {
    const memory = createMemoryStore();
    const theirs = registryOver(memory);
    const machine = (name: string): Edit => ({
      ...({ kind: 'put-machine', name } as const),
      known: { ...UNKNOWN_MACHINE, id: idOf(name) },
    });
    await theirs.update(() => [put(unit('a.service'))]);
    const between = slow(memory, 1, () => theirs.update(() => [machine('m1')]));
    const mine = registryOver({
      ...between,
      commitsAt: true,
      commit: async (changes, at) => {
        const isOutdated = at !== undefined && at !== (await memory.list()).revision;
        return isOutdated ? { kind: 'conflict', key: '' } : between.commit(changes);
      },
    });
    const after = await mine.update(() => [machine('m2')]);
    expect([after.revision, [...after.machines.keys()]]).toEqual([3, ['m2']]);
    expect(await mine.waitForChange(after, AbortSignal.timeout(1000))).toBe(true);
    const decided: (readonly string[])[] = [];
    const next = await mine.update((view) => {
      decided.push([...view.machines.keys()]);
      return [machine('m3')];
    });
    expect(decided).toEqual([['m1', 'm2']]);
    expect(await mine.waitForChange(next, AbortSignal.timeout(10))).toBe(false);
  });

  it('closes its store', async () => {
    let closed = 0;
    const store = { ...createMemoryStore(), close: async () => void closed++ };
    await registryOver(store).close();
    expect(closed).toBe(1);
  });
});

describe('contents', () => {
  it('are stored once, for any number of units and versions', async () => {
    const { store, commits } = watched(createMemoryStore());
    const registry = registryOver(store);
    await registry.update(() => [put(unit('a@1.service')), put(unit('a@2.service'))]);
    await registry.update(() => [put(unit('a@1.service', 'second'))]);
    await registry.update(() => [put(unit('a@1.service'))]);
    const written = commits.flat().filter(({ key }) => key.startsWith('contents/'));
    expect(written).toHaveLength(2);
  });

  it('are not written when only the target state changes', async () => {
    const { store, commits } = watched(createMemoryStore());
    const registry = registryOver(store);
    await registry.update(() => [put(unit('a.service'))]);
    await registry.update(() => [put(unit('a.service', 'first', { target: 'launched' }))]);
    expect(commits[1]?.map(({ key }) => key.replace(/\/r\d.*/, '/'))).toEqual([
      'turn',
      'units/a.service',
      'events/',
    ]);
  });
});

describe('the log', () => {
  it('keeps what people have decided although a unit fails hundreds of times', async () => {
    const registry = registryOver(createMemoryStore());
    const failure = { code: 'unverified' } as const;
    const outcome = { kind: 'failed', unit: 'a.service', machine: 'm1', failure } as const;
    for (let index = 0; index < 20; index++)
      await registry.update(() => [put(unit('a.service', `v${index}`))]);
    for (let index = 0; index < 520; index++)
      await registry.update(() => [{ kind: 'log', events: [outcome] }]);
    const { events } = await registry.load();
    const kinds = events.flatMap((entry) => entry.events.map(({ kind }) => kind));
    expect(events).toHaveLength(500);
    expect(kinds.filter((kind) => kind === 'text')).toHaveLength(20);
  });
});

describe('the history of a name', () => {
  it('has every text it had, oldest first, with when and by whom', async () => {
    const store = createMemoryStore();
    await registryOver(store, 'me@here').update(() => [put(unit('a.service'))]);
    await registryOver(store, 'you@there').update(() => [put(unit('a.service', 'second'))]);
    const history = (await registryOver(store).load()).history('a.service');
    const [first, second] = [unit('a.service'), unit('a.service', 'second')];
    expect(history).toEqual([
      { digest: first.digest, hash: first.hash, at: NOW, by: 'me@here' },
      { digest: second.digest, hash: second.hash, at: NOW, by: 'you@there' },
    ]);
  });

  it('gets no entry when the text stays', async () => {
    const registry = registryOver(createMemoryStore());
    await registry.update(() => [put(unit('a.service'))]);
    const view = await registry.update(() => [put(unit('a.service', 'first', { target: 'loaded' }))]);
    expect(view.history('a.service')).toHaveLength(1);
  });

  it('outlives the unit, and continues when it is submitted again', async () => {
    const registry = registryOver(createMemoryStore());
    await registry.update(() => [put(unit('a.service'))]);
    const gone = await registry.update(() => [{ kind: 'delete-unit', name: 'a.service' }]);
    expect(gone.history('a.service')).toHaveLength(1);
    const again = await registry.update(() => [put(unit('a.service'))]);
    expect(again.history('a.service')).toHaveLength(2);
    const other = await registry.update(() => [put(unit('b.service'))]);
    expect([other.history('b.service').length, other.history('never.service')]).toEqual([1, []]);
  });
});

describe('a change', () => {
  it('without edits writes nothing', async () => {
    const { store, commits } = watched(createMemoryStore());
    const view = await registryOver(store).update(() => []);
    expect([view.revision, commits]).toEqual([0, []]);
  });

  it('that lost a race is decided again, based on the changes of the winner', async () => {
    const store = createMemoryStore();
    const other = registryOver(store);
    const theirs = (): Promise<unknown> => other.update(() => [put(unit('a.service', 'theirs'))]);
    const seen: (string | undefined)[] = [];
    const view = await registryOver(slow(store, 1, theirs)).update((current) => {
      seen.push(current.units.get('a.service')?.text);
      return [put(unit('b.service', `after ${seen.length}`))];
    });
    expect(seen).toEqual([undefined, unit('a.service', 'theirs').text]);
    expect(view.units.get('b.service')?.text).toContain('after 2');
    expect(view.units.has('a.service')).toBe(true);
  });

  it('that has nothing left to do after a lost race ends there', async () => {
    const store = createMemoryStore();
    const other = registryOver(store);
    const edit = put(unit('a.service'));
    const view = await registryOver(slow(store, 1, () => other.update(() => [edit]))).update((current) =>
      current.units.has('a.service') ? [] : [edit],
    );
    expect(view.revision).toBe(1);
  });

  it('rests on all units: a change of another one in between is a lost race', async () => {
    const store = createMemoryStore();
    const other = registryOver(store);
    await other.update(() => [put(unit('a.service')), put(unit('b.service'))]);
    const deleted = (): Promise<unknown> => other.update(() => [{ kind: 'delete-unit', name: 'b.service' }]);
    let decided = 0;
    await registryOver(slow(store, 1, deleted)).update(() => {
      decided++;
      return [put(unit('a.service', 'second'))];
    });
    expect(decided).toBe(2);
  });

  it('of what is known of machines does not get in the way of units', async () => {
    const store = createMemoryStore();
    const other = registryOver(store);
    await other.update(() => [put(unit('a.service'))]);
    const known = { id: idOf('m1'), silentSince: undefined, backSince: undefined, cordon: undefined };
    const seen = (): Promise<unknown> => other.update(() => [{ kind: 'put-machine', name: 'm1', known }]);
    let decided = 0;
    await registryOver(slow(store, 1, seen)).update(() => {
      decided++;
      return [put(unit('a.service', 'second'))];
    });
    expect(decided).toBe(1);
  });

  it('is made whole or not at all', async () => {
    const store = createMemoryStore();
    const broken: Store = { ...store, commit: async () => Promise.reject(new Error('disk')) };
    const edits = [put(unit('a.service')), put(unit('b.service'))];
    await expect(registryOver(broken).update(() => edits)).rejects.toThrow('disk');
    expect((await registryOver(store).load()).revision).toBe(0);
    const { store: seen, commits } = watched(store);
    await registryOver(seen).update(() => edits);
    expect(commits).toHaveLength(1);
  });

  it('whose decision throws changes nothing', async () => {
    const store = createMemoryStore();
    const decide = (): never => {
      throw new Error('no');
    };
    await expect(registryOver(store).update(decide)).rejects.toThrow('no');
    expect((await store.list('')).revision).toBe(0);
  });

  it('of one unit twice keeps the last', async () => {
    const registry = registryOver(createMemoryStore());
    const view = await registry.update(() => [put(unit('a.service')), put(unit('a.service', 'second'))]);
    expect(view.units.get('a.service')?.text).toContain('second');
    expect((await registry.load()).units.size).toBe(1);
  });

  it('that always loses gives up and says so', async () => {
    const store = createMemoryStore();
    const other = registryOver(store);
    let turn = 0;
    const theirs = (): Promise<unknown> => other.update(() => [put(unit('a.service', String(turn++)))]);
    const update = registryOver(slow(store, Number.POSITIVE_INFINITY, theirs)).update(() => [
      put(unit('b.service')),
    ]);
    await expect(update).rejects.toMatchObject({
      code: 'registry-conflict',
      message: 'Cannot change the registry: other processes were faster 100 times',
    });
  });
});

describe('two registries over one store', () => {
  it('lose no addition of either', async () => {
    const store = createMemoryStore();
    const registries = [registryOver(store), registryOver(store)];
    await Promise.all(
      registries.flatMap((registry, side) =>
        Array.from({ length: 20 }, (_, index) =>
          registry.update(() => [put(unit(`${side}-${index}.service`))]),
        ),
      ),
    );
    const view = await registryOver(store).load();
    expect([view.units.size, view.revision]).toEqual([40, 40]);
    expect(new Set([...view.units.values()].map(({ token }) => token)).size).toBe(40);
  });

  it('agree on the cluster id that the faster one made', async () => {
    const store = createMemoryStore();
    const views = await Promise.all(
      ['a.service', 'b.service'].map((name) => registryOver(store).update(() => [put(unit(name))])),
    );
    const clusterId = (await registryOver(store).load()).clusterId;
    expect(views.map((view) => view.clusterId)).toEqual([clusterId, clusterId]);
  });

  it('in a folder see what the other one wrote, and it is there after both are gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fleet-registry-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const [mine, yours] = [registryOver(openFileStore(folder)), registryOver(openFileStore(folder))];
    await mine.update(() => [put(unit('a.service', 'ü 🚢'))]);
    const seen = await yours.update((view) => [put(unit('b.service', String(view.units.size)))]);
    await Promise.all([mine.close(), yours.close()]);
    const view = await registryOver(openFileStore(folder)).load();
    expect(view.units).toEqual(seen.units);
    expect([...view.units.values()].map(({ text }) => text.split('echo ')[1])).toEqual(['ü 🚢\n', '1\n']);
  });
});
