import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { resetLeaderLock, storeLeaderLock } from '../../src/election/store-leader-lock.ts';
import { openQuorumStore, type QuorumStore } from '../../src/quorum/store.ts';
import { ModelVoters, memoryCache } from '../quorum/model-voters.ts';

const TTL_MS = 300;

it('a lock without a majority of its voters is taken again after it was rebuilt, by a process that knew it before', async () => {
  const voters = new ModelVoters();
  const open = (): QuorumStore =>
    openQuorumStore({
      register: 'leader',
      machines: ['m1', 'm2', 'm3'].map((machine) => ({ machine, mark: undefined })),
      belongsTo: () => true,
      ask: voters.ask,
      cache: memoryCache(),
    });
  const lock = storeLeaderLock(open(), TTL_MS);
  expect(await lock.take()).toBe(true);
  expect(await (await open().remains())?.holders).toBeUndefined();
  voters.down.add('m1').add('m2');
  await expect(lock.renew()).rejects.toThrow('do not answer: m1, m2');
  const remains = await open().remains();
  if (remains === undefined) throw new TypeError('nothing is left');
  await resetLeaderLock(remains.store, TTL_MS);
  // Another process may still lead.
  expect(await lock.take().catch(() => false)).toBe(false);
  expect(await lock.take()).toBe(false);
  await sleep(TTL_MS);
  expect(await lock.take()).toBe(true);
});
