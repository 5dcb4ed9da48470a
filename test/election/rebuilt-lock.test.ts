import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { campaign, type LeaderLock } from '../../src/election/leadership.ts';
import { resetLeaderLock, storeLeaderLock } from '../../src/election/store-leader-lock.ts';
import type { QuorumStore } from '../../src/quorum/store.ts';
import { ModelVoters, openOn } from '../quorum/model-voters.ts';

const TTL_MS = 300;

function openLock(voters: ModelVoters): QuorumStore {
  return openOn(voters, ['m1', 'm2', 'm3'], { register: 'leader' });
}

it('a candidate reads the lock only after a change while another process holds it', async () => {
  const voters = new ModelVoters();
  const open = (): LeaderLock => storeLeaderLock(openLock(voters), 10_000);
  expect(await open().take()).toBe(true);
  const candidate = open();
  expect(await candidate.take()).toBe(false);
  voters.requests = 0;
  const over = new AbortController();
  const waiting = campaign(candidate, { signal: over.signal });
  await sleep(2000);
  over.abort();
  await waiting;
  // These voters end a wait after a second. Each wait is one request, and a read by all three voters follows.
  expect(voters.requests).toBeLessThan(30);
});

it('a lock without a majority of its voters is taken again after it was rebuilt, by a process that knew it before', async () => {
  const voters = new ModelVoters();
  const open = (): QuorumStore => openLock(voters);
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
