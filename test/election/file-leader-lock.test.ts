import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { campaign } from '../../src/election/leadership.ts';
import { fileLeaderLock } from '../../src/election/store-leader-lock.ts';
import { openFileStore } from '../../src/store/file.ts';
import { probeFolder } from '../../src/store/folder.ts';
import { thisProcess } from '../../src/store/owner.ts';
import { describeLeaderLock, type OnEnd, TTL } from './conformance.ts';

function newFolder(onEnd: OnEnd): string {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-lock-'));
  onEnd(() => rmSync(folder, { recursive: true }));
  return folder;
}

describeLeaderLock('leader lock in a folder', (onEnd) => {
  const folder = newFolder(onEnd);
  return { open: () => fileLeaderLock(folder, TTL) };
});

/** A leader that took the leader lock a moment ago, and is not heard of any more. */
async function lockOf(folder: string, owner: object): Promise<void> {
  const store = openFileStore(join(folder, 'leader'));
  const value = JSON.stringify({ ...thisProcess(), ttlMs: 300, ...owner });
  await store.commit([{ kind: 'put', key: 'leader', value, ifRevision: 0 }]);
  await store.close();
}

const takeovers: [owner: string, changes: object, least: number][] = [
  ['at once from a process that has ended', { pid: 2 ** 30, ttlMs: 60_000 }, 0],
  ['from a process that runs only after its time', {}, 250],
  ['from one of another container only after its time', { namespace: 'pid:[1]', pid: 2 ** 30 }, 250],
];
it.each(takeovers)('is taken %s', async (_, changes, least) => {
  const folder = newFolder(onTestFinished);
  await lockOf(folder, changes);
  const since = performance.now();
  const lock = fileLeaderLock(folder, TTL);
  const leadership = await campaign(lock, { signal: AbortSignal.timeout(20_000) });
  const took = performance.now() - since;
  expect(leadership?.isHeld()).toBe(true);
  expect(took).toBeGreaterThanOrEqual(least);
  await leadership?.resign();
  await lock.close();
});

it('leaves the registry beside it at its revision', async () => {
  const folder = newFolder(onTestFinished);
  const registry = openFileStore(folder);
  await registry.commit([{ kind: 'put', key: 'a', value: '', ifRevision: 0 }]);
  const lock = fileLeaderLock(folder, TTL);
  const leadership = await campaign(lock, { signal: AbortSignal.timeout(3000) });
  await leadership?.resign();
  expect((await registry.list('')).revision).toBe(1);
  await lock.close();
});

it('is probed without making anything, and says when it could not be taken', async () => {
  const folder = newFolder(onTestFinished);
  const lock = fileLeaderLock(join(folder, 'registry'), TTL);
  await lock.probe();
  await probeFolder(join(folder, 'registry'));
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(join(folder, 'registry'), 'no folder');
  for (const probing of [() => lock.probe(), () => probeFolder(join(folder, 'registry'))])
    await expect(probing()).rejects.toMatchObject({ code: 'registry-unavailable' });
  await lock.close();
});
