import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFileStore } from '../../src/store/file.ts';
import { put } from './conformance.ts';

/** Longer than any test takes: a wait that ends was notified. */
const NEVER = { pollInterval: 3_600_000 };
const QUICK = { pollInterval: 10 };

let base: string;
let folder: string;
let records: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fleet-changes-'));
  folder = join(base, 'registry');
  records = join(folder, 'records');
});

afterEach(() => rmSync(base, { recursive: true }));

function soon(): AbortSignal {
  return AbortSignal.timeout(3000);
}

describe('a wait for a change of a file store', () => {
  it('is notified by the kernel, commit after commit, without polling', async () => {
    const [mine, yours] = [openFileStore(folder, NEVER), openFileStore(folder)];
    await yours.commit([put('a')]);
    for (let revision = 1; revision < 5; revision++) {
      const waiting = mine.waitForChange(revision, soon());
      await sleep(5);
      await yours.commit([put('a', '', revision)]);
      expect(await waiting).toBe(true);
    }
    await mine.close();
  });

  it('polls where there was no folder to watch', async () => {
    const store = openFileStore(folder, QUICK);
    const waiting = store.waitForChange(0, soon());
    await sleep(20);
    await openFileStore(folder).commit([put('a')]);
    expect(await waiting).toBe(true);
    await store.close();
  });

  it('survives that the folder is put in the place of another', async () => {
    const store = openFileStore(folder, QUICK);
    await store.commit([put('a')]);
    await openFileStore(join(base, 'new')).commit([put('a')]);
    await openFileStore(join(base, 'new')).commit([put('b')]);
    const waiting = store.waitForChange(1, soon());
    renameSync(folder, join(base, 'old'));
    renameSync(join(base, 'new'), folder);
    expect(await waiting).toBe(true);
    expect((await store.list('')).revision).toBe(2);
    await store.close();
  });

  it('continues while the file is damaged, and ends when it can be read again', async () => {
    const store = openFileStore(folder, QUICK);
    await store.commit([put('a')]);
    await openFileStore(folder).commit([put('b')]);
    const good = readFileSync(records);
    writeFileSync(records, 'damaged');
    const waiting = store.waitForChange(1, soon());
    expect(await Promise.race([waiting, sleep(60, 'waits')])).toBe('waits');
    writeFileSync(records, good);
    expect(await waiting).toBe(true);
    await store.close();
  });

  it('releases its watches', async () => {
    mkdirSync(folder);
    const store = openFileStore(folder);
    const watches = () => process.getActiveResourcesInfo().filter((kind) => kind === 'FSEventWrap').length;
    // libuv closes a handle in its next turn: first those of the tests before.
    await expect.poll(() => watches()).toBe(0);
    const stop = new AbortController();
    const waiting = Array.from({ length: 5 }, () => store.waitForChange(0, stop.signal));
    expect(watches()).toBe(5);
    stop.abort();
    await Promise.all(waiting);
    await expect.poll(() => watches()).toBe(0);
    await store.close();
  });
});
