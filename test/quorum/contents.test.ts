import { expect, it } from 'vitest';
import type { QuorumStore } from '../../src/quorum/store.ts';
import type { Change } from '../../src/store/store.ts';
import { ModelVoters, openProcess as open } from './model-voters.ts';

const put = (key: string): Change => ({ kind: 'put', key, value: '1', ifRevision: 0 });

/** A store that has read the registry before others have changed it; `beforeContents` is called when it asks for contents next. */
async function openEarlier(voters: ModelVoters, beforeContents: (other: QuorumStore) => Promise<unknown>) {
  const other = open(voters.ask);
  await other.commit([put('a')]);
  let isArmed = false;
  const store = open(async (machine, request) => {
    if (request.unlessKnown !== undefined && isArmed) {
      isArmed = false;
      await beforeContents(other);
    }
    return voters.ask(machine, request);
  });
  await store.list('');
  await other.commit([put('b')]);
  isArmed = true;
  return store;
}

it('a read begins again if voters have removed the contents since they showed the head', async () => {
  const store = await openEarlier(new ModelVoters(), (other) => other.commit([put('c')]));
  expect((await store.list('')).records.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
});

it('a commit begins again if voters have removed the contents since they showed the head', async () => {
  const store = await openEarlier(new ModelVoters(), (other) => other.commit([put('c')]));
  expect(await store.commit([put('d')])).toEqual({ kind: 'committed', revision: 4 });
});

it.each(['list', 'commit'] as const)(
  '%s fails if no voter has the contents of the last head',
  async (call) => {
    const voters = new ModelVoters();
    const store = await openEarlier(voters, async () => {
      for (const [machine, disk] of voters.disks) voters.disks.set(machine, { ...disk, texts: new Map() });
    });
    const result = call === 'list' ? store.list('') : store.commit([put('d')]);
    await expect(result).rejects.toThrow(/no voter that answers has all of its contents/);
  },
);
