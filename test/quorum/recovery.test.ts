import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openQuorumStore, type QuorumStore } from '../../src/quorum/store.ts';
import type { Change } from '../../src/store/store.ts';
import { seeded } from '../support/random.ts';
import { ModelVoters, memoryCache } from './model-voters.ts';

const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5'];

const put = (key: string): Change => ({ kind: 'put', key, value: '1', ifRevision: 0 });

/** Opens stores as separate processes do. */
function opener(voters: ModelVoters, ask: ModelVoters['ask'] = voters.ask): () => QuorumStore {
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

  it('is never replaced by voters of before that return, which are reported', async () => {
    let reported = 0;
    for (let seed = 1; seed <= 25; seed++) reported += await history(seed);
    expect(reported).toBeGreaterThan(5);
  });

  it('cannot be rebuilt twice from the same state', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2');
    const [first, second] = await Promise.all([opener(voters)().remains(), opener(voters)().remains()]);
    await first?.store.commit([put('first')]);
    await expect(second?.store.commit([put('second')])).rejects.toThrow(/did not store it/);
    expect(await keysIn(opener(voters)())).toEqual(['a', 'first']);
  });
});

/** The majority is lost, the rest continues, and the majority returns, also to a process that knew it; returns reports. */
async function history(seed: number): Promise<number> {
  const random = seeded(seed);
  const voters = new ModelVoters();
  const slow: ModelVoters['ask'] = async (machine, request) => {
    await sleep(random() * 5);
    return voters.ask(machine, request);
  };
  const open = opener(voters, slow);
  await opener(voters)().commit([put('a')]);
  const survivor = MACHINES[Math.floor(random() * 3)] ?? '';
  if (random() < 0.5) voters.down.add(survivor);
  const old = opener(voters)();
  for (let i = 0; i < random() * 5; i++) await old.commit([put(`old-${i}`)]);
  voters.down.clear();
  const lost = ['m1', 'm2', 'm3'].filter((machine) => machine !== survivor);
  for (const machine of lost) voters.down.add(machine);
  const remains = await opener(voters)().remains();
  await remains?.store.commit([put('rebuilt')]);
  const expected = ['rebuilt'];
  let reports = 0;
  for (let step = 0; step < 6; step++) {
    // At least one voter of the new era answers.
    voters.down.clear();
    const gone = MACHINES.filter((machine) => machine !== survivor && random() < 0.3);
    for (const machine of gone) voters.down.add(machine);
    const store = random() < 0.3 ? old : open();
    // A process that knew the majority before notices the next era as soon as one of its voters has answered.
    if (store === old)
      await old.list('').then(
        () => sleep(10),
        () => undefined,
      );
    try {
      expect(await keysIn(store), `seed ${seed}`).toEqual(expect.arrayContaining(expected));
      await store.commit([put(`new-${step}`)]);
      expected.push(`new-${step}`);
      const candidates = MACHINES.map(
        (machine) =>
          ({
            machine,
            answers: !voters.down.has(machine),
            condition: gone.includes(machine) && random() < 0.5 ? 'lost' : 'good',
            mark: undefined,
          }) as const,
      );
      if (random() < 0.5) await store.tend(candidates);
      reports += (await open().status())?.voters.filter(({ state }) => state === 'former').length ?? 0;
    } catch (error) {
      if (!/Cannot|has a later registry/.test(String(error))) throw error;
    }
  }
  voters.down.clear();
  expect(await keysIn(open()), `seed ${seed}`).toEqual(expect.arrayContaining(expected));
  return reports;
}
