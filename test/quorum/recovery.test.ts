import { describe, expect, it } from 'vitest';
import { openQuorumStore, type QuorumStore } from '../../src/quorum/store.ts';
import type { Change } from '../../src/store/store.ts';
import { ModelVoters, memoryCache } from './model-voters.ts';

const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5'];

const put = (key: string): Change => ({ kind: 'put', key, value: '1', ifRevision: 0 });

/** Opens stores as separate processes do. */
function opener({ ask }: ModelVoters): () => QuorumStore {
  return () =>
    openQuorumStore({
      register: 'head',
      machines: MACHINES.map((machine) => ({ machine, mark: undefined })),
      belongsTo: () => true,
      ask,
      cache: memoryCache(),
    });
}

const keysIn = async (store: QuorumStore): Promise<readonly string[]> =>
  (await store.list('')).records.map(({ key }) => key);

describe('a registry without a majority of its voters', () => {
  it('continues with the newest state that is left', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('m3');
    await open().commit([put('b')]);
    voters.down.delete('m3');
    expect(await open().remains()).toBeUndefined();
    voters.down.add('m1');
    voters.disks.delete('m2');
    const store = open();
    await expect(store.list('')).rejects.toThrow('do not answer: m1');
    const remains = await open().remains();
    expect([remains?.holders, remains?.missing.toSorted()]).toEqual([['m3'], ['m1', 'm2']]);
    expect((await remains?.store.list(''))?.records.map(({ key }) => key)).toEqual(['a']);
    expect(await remains?.store.commit([put('rebuilt')])).toEqual({ kind: 'committed', revision: 2 });
    expect(await keysIn(open())).toEqual(['a', 'rebuilt']);
    await open().commit([put('c')]);
    // The one that has "b" returns, and is reported.
    voters.down.clear();
    const { length } = MACHINES;
    expect(await keysIn(open())).toEqual(['a', 'c', 'rebuilt']);
    const states = (await open().status())?.voters;
    expect(states?.filter(({ state }) => state === 'current')).toHaveLength(length === 5 ? 3 : 0);
  });

  it('is not rebuilt from a registry that one machine has made up', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    const alone = openQuorumStore({
      ...{ register: 'head', belongsTo: () => true, ask: voters.ask, cache: memoryCache() },
      machines: [{ machine: 'm4', mark: undefined }],
    });
    for (const key of ['x', 'y', 'z']) await alone.commit([put(key)]);
    voters.down.add('m1').add('m2');
    await expect(open().remains()).rejects.toThrow('these machines have different ones: m3; m4');
    voters.disks.delete('m4');
    expect((await open().remains())?.holders).toEqual(['m3']);
  });

  it('makes no voter of a machine of another cluster', async () => {
    const voters = new ModelVoters();
    for (const machine of MACHINES.slice(0, 4)) voters.owners.set(machine, 'ours');
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.owners.set('m4', 'theirs');
    voters.down.add('m1').add('m2');
    await (await open().remains())?.store.commit([put('b')]);
    expect(voters.disks.get('m4')?.state).toBeUndefined();
    expect(await keysIn(open())).toEqual(['a', 'b']);
  });

  it('cannot be rebuilt twice from the same state', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2');
    const [first, second] = await Promise.all([opener(voters)().remains(), opener(voters)().remains()]);
    await first?.store.commit([put('first')]);
    const before = structuredClone([...voters.disks]);
    await expect(second?.store.commit([put('second')])).rejects.toThrow(/did not store it/);
    expect([...voters.disks].map(([, { state }]) => state)).toEqual(before.map(([, { state }]) => state));
    expect(await keysIn(opener(voters)())).toEqual(['a', 'first']);
  });
});
