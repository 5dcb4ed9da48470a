import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { makeFolders } from '../../src/base/folders.ts';
import { bundle } from '../support/bundle.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-folders-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('makes a folder with those above it, and names the highest one that was missing', () => {
  expect(makeFolders(join(folder, 'a/b/c'), 0o700)).toBe(join(folder, 'a'));
  expect(statSync(join(folder, 'a/b')).mode & 0o777).toBe(0o700);
  symlinkSync('a/b', join(folder, 'link'));
  expect(makeFolders(join(folder, 'link/d'))).toBe(join(folder, 'link/d'));
  expect(makeFolders(join(folder, 'a/b/d'))).toBeUndefined();
});

it('fails where a file is in the way', () => {
  writeFileSync(join(folder, 'file'), '');
  for (const path of ['file', 'file/below'])
    expect(() => makeFolders(join(folder, path))).toThrow(/EEXIST|ENOTDIR/);
});

it('fails below /proc, where nothing can be made', async () => {
  const worker = await bundle(new URL('../../src/base/folders.ts', import.meta.url), folder, 'cjs');
  const code = `require(${JSON.stringify(worker)}).makeFolders('/proc/no-such/a')`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 20_000 });
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(/E(NOENT|ACCES|PERM|ROFS): .*'\/proc\/no-such'/),
  ]);
});
