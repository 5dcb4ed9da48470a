import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openFileStore } from '../../src/store/file.ts';
import { bundle } from '../support/bundle.ts';
import { put } from './conformance.ts';

let base: string;
let worker: string;
let folder: string;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'fleet-processes-'));
  worker = await bundle(new URL('./worker.ts', import.meta.url), base);
});

beforeEach(() => {
  folder = mkdtempSync(join(base, 'registry-'));
});

afterAll(() => rmSync(base, { recursive: true }));

describe('several processes on one registry', () => {
  it.each([2, 4])('%i of them count together and lose nothing', async (processes) => {
    const workers = Array.from({ length: processes }, (_, i) => start(`worker-${i}`, 40));
    expect(await Promise.all(workers.map((each) => each.ended))).toEqual(workers.map(() => 0));
    const store = openFileStore(folder);
    expect((await store.get('counter'))?.value).toBe(`${processes * 40}`);
    const { revision, records } = await store.list('done/');
    expect(revision).toBe(processes * 40);
    expect(new Set(records.map((record) => record.revision)).size).toBe(processes * 40);
    expect(readdirSync(folder)).toEqual(['records']);
  });
});

describe('kill -9 at any moment', () => {
  const KILLS = 16;

  it('loses no acknowledged commit, breaks nothing and blocks no other process', async () => {
    // Not even 0 ms are waited for the lock of a dead process.
    const store = openFileStore(folder, { lockTimeout: 0 });
    const random = randomFrom(20250915);
    const acknowledged: string[] = [];
    let locksLeft = 0;
    for (let i = 0; i < KILLS; i++) {
      const victim = start(`victim-${i}`, 1000);
      await victim.killAfter(1 + Math.floor(random() * 4), random() * 3);
      acknowledged.push(...victim.lines.map((line) => `done/victim-${i}/${line}`));
      if (readdirSync(folder).some((name) => name.startsWith('lock.'))) locksLeft++;

      const { revision } = await store.list('');
      expect(await store.commit([put(`after/${i}`)])).toEqual({ kind: 'committed', revision: revision + 1 });
      expect(readdirSync(folder)).toEqual(['records']);
    }

    const done = (await store.list('done/')).records.map(({ key }) => key);
    expect(done).toEqual(expect.arrayContaining(acknowledged));
    expect(done.length).toBeLessThanOrEqual(acknowledged.length + KILLS);
    expect((await store.get('counter'))?.value).toBe(`${done.length}`);
    expect((await store.list('')).revision).toBe(done.length + KILLS);
    expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS);
    // Else the kills missed what this is about.
    expect(locksLeft).toBeGreaterThan(0);
  });

  it('of one of three does not stop the others', async () => {
    const survivors = [start('survivor-1', 60), start('survivor-2', 60)];
    const random = randomFrom(7);
    let killed = 0;
    while (killed < 6) {
      await start(`victim-${killed++}`, 1000).killAfter(1, random() * 3);
    }
    expect(await Promise.all(survivors.map((each) => each.ended))).toEqual([0, 0]);
    const store = openFileStore(folder);
    const { revision, records } = await store.list('done/');
    expect((await store.get('counter'))?.value).toBe(`${records.length}`);
    expect(revision).toBe(records.length);
    expect(records.filter(({ key }) => key.startsWith('done/survivor-'))).toHaveLength(120);
  });
});

function start(name: string, times: number): Worker {
  return new Worker([worker, folder, name, `${times}`]);
}

class Worker {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  #output = '';
  /** Resolves with the exit status, null when killed, once all output has been read. */
  readonly ended: Promise<number | null>;

  constructor(args: string[]) {
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout.on('data', (chunk) => {
      this.#output += chunk;
    });
    this.ended = once(this.#child, 'close').then(([status]) => status);
  }

  /** The lines printed so far. A line cut off is none. */
  get lines(): string[] {
    return this.#output.split('\n').slice(0, -1);
  }

  /** Waits for `lines` lines, then `pause` ms more, to hit any moment of a commit; kills it then. */
  async killAfter(lines: number, pause: number): Promise<void> {
    while (this.lines.length < lines && this.#child.exitCode === null) {
      await Promise.race([once(this.#child.stdout, 'data'), this.ended]);
    }
    const until = performance.now() + pause;
    while (performance.now() < until);
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
