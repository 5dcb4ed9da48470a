import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileStoreOptions, openFileStore } from '../../src/store/file.ts';
import { tryLock } from '../../src/store/lock.ts';
import { thisProcess } from '../../src/store/owner.ts';
import { asUser } from '../support/process.ts';
import { describeStore, put } from './conformance.ts';

let base: string;
let folder: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fleet-store-'));
  folder = join(base, 'registry');
});

afterEach(() => rmSync(base, { recursive: true }));

describeStore('file store', async () => {
  const store = openFileStore(folder);
  return { store, reopen: async () => openFileStore(folder), tearDown: () => store.close() };
});

describe('the folder', () => {
  it('is not made by reading, nor by a commit that changes nothing', async () => {
    const store = openFileStore(folder);
    await store.list('');
    await store.get('a');
    await store.commit([{ kind: 'check', key: 'a', ifRevision: 0 }]);
    await store.commit([put('a', '', 5)]);
    await store.close();
    expect(readdirSync(base)).toEqual([]);
  });

  it('is made by the first commit, with those above it, for the owner alone', async () => {
    const deep = join(folder, 'of', 'one', 'cluster');
    await openFileStore(deep).commit([put('a')]);
    for (const path of [folder, join(folder, 'of'), deep]) expect(modeOf(path)).toBe(0o700);
    expect(modeOf(join(deep, 'records'))).toBe(0o600);
  });

  it.runIf(process.geteuid?.() === 0)(
    'stays usable for the user who owns it after commits of root',
    async () => {
      mkdirSync(folder);
      chownSync(folder, 65_534, 65_533);
      const deep = join(folder, 'leader');
      for (const place of [folder, deep]) {
        const store = openFileStore(place);
        await store.commit([put('a')]);
        await store.commit([put('b')]);
      }
      for (const name of [...readdirSync(folder), 'leader/records']) {
        const { uid, gid } = statSync(join(folder, name));
        expect([name, uid, gid]).toEqual([name, 65_534, 65_533]);
      }
      await asUser([base], async () => {
        const store = openFileStore(folder);
        expect(await store.commit([put('c')])).toEqual({ kind: 'committed', revision: 3 });
      });
    },
  );

  it('keeps the mode it was given before', async () => {
    mkdirSync(folder, { mode: 0o750 });
    await openFileStore(folder).commit([put('a')]);
    expect(modeOf(folder)).toBe(0o750);
  });

  it('holds one file when no commit is under way', async () => {
    const store = openFileStore(folder);
    for (let i = 0; i < 3; i++) await store.commit([put('a', `${i}`, i)]);
    expect(readdirSync(folder)).toEqual(['records']);
    expect(modeOf(join(folder, 'records'))).toBe(0o600);
  });

  it('is cleaned by the next commit of what killed processes left', async () => {
    const dead = JSON.stringify({ ...thisProcess(), pid: 2 ** 30 });
    const store = openFileStore(folder);
    await store.commit([put('a')]);
    for (const name of ['lock.1.1', 'lock.2.1', 'lock.2.2', 'records.2.2', 'candidate.0123456789abcdef']) {
      writeFileSync(join(folder, name), dead);
    }
    expect(await store.commit([put('b')])).toEqual({ kind: 'committed', revision: 2 });
    expect(readdirSync(folder)).toEqual(['records']);
  });

  it('stays the same when the process changes its working folder', async () => {
    const before = process.cwd();
    process.chdir(base);
    try {
      const store = openFileStore('registry');
      process.chdir(before);
      await store.commit([put('a')]);
    } finally {
      process.chdir(before);
    }
    expect(readdirSync(base)).toEqual(['registry']);
  });
});

describe('the file', () => {
  it('is read again only when it has changed', async () => {
    const store = openFileStore(folder);
    await store.commit([put('a')]);
    const [first] = (await store.list('')).records;
    expect((await store.list('')).records[0]).toBe(first);
    await openFileStore(folder).commit([put('b')]);
    expect((await store.list('')).records).toHaveLength(2);
  });

  it('is found damaged, and is left unchanged', async () => {
    const store = openFileStore(folder);
    await store.commit([put('a', 'hello')]);
    const damaged = readFileSync(join(folder, 'records'), 'utf8').replace('hello', 'hullo');
    writeFileSync(join(folder, 'records'), damaged);
    for (const each of [store, openFileStore(folder)]) {
      await expect(each.get('a')).rejects.toMatchObject({ code: 'registry-corrupt' });
      await expect(each.list('')).rejects.toMatchObject({ code: 'registry-corrupt' });
      await expect(each.commit([put('b')])).rejects.toMatchObject({ code: 'registry-corrupt' });
    }
    expect(readFileSync(join(folder, 'records'), 'utf8')).toBe(damaged);
    expect(readdirSync(folder)).toEqual(['records']);
  });

  it('of a later format is not touched', async () => {
    const newer = '{"fleet":"registry","format":2,"revision":9}\nanything\n';
    mkdirSync(folder);
    writeFileSync(join(folder, 'records'), newer);
    await expect(openFileStore(folder).commit([put('a')])).rejects.toMatchObject({ code: 'registry-newer' });
    expect(readFileSync(join(folder, 'records'), 'utf8')).toBe(newer);
  });

  it('that is gone, or older, while in use is an error: units are not forgotten', async () => {
    const store = openFileStore(folder);
    await store.commit([put('a')]);
    const older = readFileSync(join(folder, 'records'));
    await store.commit([put('b')]);
    writeFileSync(join(folder, 'records'), older);
    const wentBack = { code: 'registry-corrupt', message: expect.stringContaining('from revision 2 to 1') };
    await expect(store.list('')).rejects.toMatchObject(wentBack);
    await expect(store.commit([put('c')])).rejects.toMatchObject(wentBack);
    rmSync(folder, { recursive: true });
    await expect(store.list('')).rejects.toMatchObject({ code: 'registry-corrupt' });
    expect(readdirSync(base)).toEqual([]);
  });
});

describe('commits of one store', () => {
  it('are done in the order they were asked for', async () => {
    const store = openFileStore(folder);
    const commits = Array.from({ length: 10 }, (_, i) => store.commit([put('a', `${i}`, i)]));
    expect(await Promise.all(commits)).toEqual(
      commits.map((_, i) => ({ kind: 'committed', revision: i + 1 })),
    );
  });

  it('continue after one that failed', async () => {
    const store = openFileStore(folder);
    const [first, second] = [store.commit([put('a'), put('a')]), store.commit([put('a')])];
    await expect(first).rejects.toThrow('names a key twice');
    expect(await second).toEqual({ kind: 'committed', revision: 1 });
  });
});

describe('the lock', () => {
  it('is waited for as long as its process lives, then the process is named', async () => {
    const store = openFileStore(folder, { lockTimeout: 30 });
    await store.commit([put('a')]);
    const held = tryLock(folder, 2, () => 1);
    await expect(store.commit([put('b')])).rejects.toMatchObject({
      code: 'registry-locked',
      message: expect.stringContaining(`process ${process.pid} ("${thisProcess().command}")`),
      hint: expect.stringContaining(join(folder, 'lock.2.1')),
    });
    expect(await store.list('')).toMatchObject({ revision: 1 });
    if (held.kind === 'locked') held.lock.release();
    expect(await store.commit([put('b')])).toEqual({ kind: 'committed', revision: 2 });
  });

  it('is taken while waiting, as soon as its process gives up', async () => {
    const store = openFileStore(folder);
    await store.commit([put('a')]);
    const held = tryLock(folder, 2, () => 1);
    const commit = store.commit([put('b')]);
    await new Promise(setImmediate);
    if (held.kind === 'locked') held.lock.release();
    expect(await commit).toEqual({ kind: 'committed', revision: 2 });
  });

  it('is not needed to read, to check or to find a conflict', async () => {
    const store = openFileStore(folder, { lockTimeout: 0 });
    await store.commit([put('a', 'x')]);
    const held = tryLock(folder, 2, () => 1);
    expect(await store.get('a')).toMatchObject({ value: 'x' });
    expect(await store.commit([{ kind: 'check', key: 'a', ifRevision: 1 }])).toMatchObject({
      kind: 'committed',
    });
    expect(await store.commit([put('a', 'y')])).toMatchObject({ kind: 'conflict' });
    if (held.kind === 'locked') held.lock.release();
  });
});

describe('a place that cannot be used', () => {
  const places: [what: string, cause: string, place: string, prepare: () => void][] = [
    ['a file where the folder should be', 'ENOTDIR', '', () => writeFileSync(folder, '')],
    ['a file where a folder above should be', 'ENOTDIR', 'of/one', () => writeFileSync(folder, '')],
    ['a link to itself', 'ELOOP', '', () => symlinkSync(folder, folder)],
    [
      'a folder where the file should be',
      'EISDIR',
      '',
      () => mkdirSync(join(folder, 'records'), { recursive: true }),
    ],
  ];
  it.each(places)('%s (%s)', async (_what, cause, below, prepare) => {
    const place = join(folder, below);
    prepare();
    const unavailable = {
      code: 'registry-unavailable',
      message: expect.stringMatching(new RegExp(`"${place}": ${cause}`)),
      hint: expect.stringMatching(/./),
    };
    const store = openFileStore(place);
    await expect(store.list('')).rejects.toMatchObject(unavailable);
    await expect(store.commit([put('a')])).rejects.toMatchObject(unavailable);
  });

  it('a folder without permission', () =>
    asUser([base], async () => {
      const store = openFileStore(folder);
      await store.commit([put('a', 'x')]);
      chmodSync(folder, 0o500);
      expect(await store.get('a')).toMatchObject({ value: 'x' });
      await expect(store.commit([put('b')])).rejects.toMatchObject({
        code: 'registry-unavailable',
        message: expect.stringContaining('EACCES'),
        hint: expect.stringContaining('run as a user'),
      });
      chmodSync(folder, 0o700);
      expect(readdirSync(folder)).toEqual(['records']);
    }));

  it('a link to nowhere: reads as empty, and cannot be written', async () => {
    symlinkSync(join(base, 'nowhere'), folder);
    const store = openFileStore(folder);
    expect(await store.list('')).toEqual({ revision: 0, records: [] });
    await expect(store.commit([put('a')])).rejects.toMatchObject({ code: 'registry-unavailable' });
  });
});

describe('a separate disk (needs root and the right to mount)', () => {
  let mounted: boolean;

  beforeEach(() => {
    mkdirSync(folder);
    mounted = mount('size=256k');
  });

  afterEach(() => {
    if (mounted) execFileSync('/bin/umount', ['--lazy', folder]);
  });

  it('that is full refuses the commit, keeps what was there and leaves no temporary file', async ({
    skip,
  }) => {
    if (!mounted) skip('not allowed to mount a tmpfs here');
    const store = openFileStore(folder, NO_WAIT);
    await store.commit([put('a', 'kept')]);
    const before = readFileSync(join(folder, 'records'));
    for (let i = 0; i < 3; i++) {
      await expect(store.commit([put('b', 'x'.repeat(1_000_000))])).rejects.toMatchObject({
        code: 'registry-unavailable',
        message: expect.stringMatching(/"[^"]+registry": ENOSPC/),
      });
    }
    expect(readFileSync(join(folder, 'records'))).toEqual(before);
    expect(
      readdirSync(folder).filter((name) => name.startsWith('records.') || name.startsWith('cand')),
    ).toEqual([]);
    expect(await openFileStore(folder, NO_WAIT).commit([put('b', 'small')])).toEqual({
      kind: 'committed',
      revision: 2,
    });
    expect(readdirSync(folder)).toEqual(['records']);
  });

  it('without room for even the lock refuses the commit, and continues when there is room', async ({
    skip,
  }) => {
    if (!mounted) skip('not allowed to mount a tmpfs here');
    const store = openFileStore(folder, NO_WAIT);
    await store.commit([put('a')]);
    fill(join(folder, 'other'));
    await expect(store.commit([put('b')])).rejects.toMatchObject({ code: 'registry-unavailable' });
    expect(readdirSync(folder).sort()).toEqual(['other', 'records']);
    rmSync(join(folder, 'other'));
    expect(await store.commit([put('b')])).toEqual({ kind: 'committed', revision: 2 });
  });

  it('without inodes says so', async ({ skip }) => {
    if (!mounted) skip('not allowed to mount a tmpfs here');
    const store = openFileStore(folder, NO_WAIT);
    await store.commit([put('a')]);
    const { files, ffree } = statfsSync(folder);
    mount(`remount,nr_inodes=${files - ffree}`);
    await expect(store.commit([put('b')])).rejects.toMatchObject({
      hint: expect.stringContaining('no inodes'),
    });
  });

  it('that is read-only can be read', async ({ skip }) => {
    if (!mounted) skip('not allowed to mount a tmpfs here');
    const store = openFileStore(folder, NO_WAIT);
    await store.commit([put('a', 'x')]);
    mount('remount,ro');
    expect(await openFileStore(folder).get('a')).toMatchObject({ value: 'x' });
    await expect(store.commit([put('b')])).rejects.toMatchObject({
      code: 'registry-unavailable',
      message: expect.stringContaining('EROFS'),
    });
    expect(readdirSync(folder)).toEqual(['records']);
  });

  function mount(options: string): boolean {
    try {
      execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  }
});

const NO_WAIT: FileStoreOptions = { lockTimeout: 0 };

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

function fill(path: string): void {
  for (let i = 0; i < 1000; i++) {
    try {
      writeFileSync(path, 'x'.repeat(4096), { flag: 'a' });
    } catch {
      return;
    }
  }
}
