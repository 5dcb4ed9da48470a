import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundle } from '../support/bundle.ts';

/** A part that is large enough to be cached. */
const FILLER = `/* ${'-'.repeat(70_000)} */`;
let folder = '';
let loader = '';
let cache = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-load-'));
  loader = await bundle(new URL('../../src/cli/load.ts', import.meta.url), folder, 'cjs');
  writeFileSync(join(folder, 'entry.cjs'), `exports.run = () => console.log(require('./part.cjs').word);`);
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  rmSync(join(folder, 'cache'), { recursive: true, force: true });
  cache = join(folder, 'cache/fleet/code');
});

/** Sets what the program prints. The word has one length, by which alone V8 tells one source from another. */
const setWord = (word: 'right' | 'wrong'): void =>
  writeFileSync(join(folder, 'part.cjs'), `exports.word = (() => '${word}')(); ${FILLER}`);
const run = (
  command = 'list',
  env: NodeJS.ProcessEnv = {},
  as: { uid?: number; cwd?: string } = {},
  flags: readonly string[] = [],
) => {
  const code = `require(${JSON.stringify(loader)}).load(${JSON.stringify(join(folder, 'entry.cjs'))}).run()`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...flags, '-e', code, 'fleetctl', command],
    {
      ...as,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, XDG_CACHE_HOME: join(folder, 'cache'), ...env },
    },
  );
  return { status, stdout: stdout.trim(), stderr };
};
const right = { status: 0, stdout: 'right', stderr: '' };
const compiled = (): string =>
  join(cache, readdirSync(cache).find((name) => !name.endsWith('.commands')) ?? '');

/** Puts the compiled form of a program that prints "wrong" in the place of the right one. */
function plant(): void {
  setWord('wrong');
  run();
  const wrong = readFileSync(compiled());
  rmSync(cache, { recursive: true });
  setWord('right');
  run();
  // The source is behind the compiled form.
  const source = readFileSync(join(folder, 'part.cjs'));
  writeFileSync(compiled(), Buffer.concat([wrong.subarray(0, -source.length), source]));
}

describe('the compiled form of the program', () => {
  it('is kept by the first process and used by the next', () => {
    plant();
    expect(run()).toEqual({ ...right, stdout: 'wrong' });
  });

  it.each<[string, () => void]>([
    [
      'is damaged',
      () =>
        writeFileSync(
          compiled(),
          readFileSync(compiled()).map((byte, at) => (at === 500 ? byte ^ 1 : byte)),
        ),
    ],
    ['is cut off', () => writeFileSync(compiled(), readFileSync(compiled()).subarray(0, 500))],
    ['is empty', () => writeFileSync(compiled(), '')],
    ['can be written by a group', () => chmodSync(compiled(), 0o660)],
    ['is in a folder that others can write to', () => chmodSync(cache, 0o777)],
    [
      'is a link',
      () => {
        renameSync(compiled(), join(folder, 'elsewhere'));
        symlinkSync(
          join(folder, 'elsewhere'),
          join(cache, readdirSync(cache).join('').replace('.commands', '')),
        );
      },
    ],
  ])('is not used where it %s', (_, change) => {
    plant();
    change();
    expect(run()).toEqual(right);
  });

  it.runIf(process.getuid?.() === 0).each<[string, () => string]>([
    ['file', compiled],
    ['folder', () => cache],
  ])('is not used where the %s belongs to another user', (_, path) => {
    plant();
    chownSync(path(), 65_534, 65_534);
    expect(run()).toEqual(right);
  });

  it('is not used with other flags of V8, and with NODE_DISABLE_COMPILE_CACHE', () => {
    plant();
    expect(run('list', { NODE_DISABLE_COMPILE_CACHE: '1' })).toEqual(right);
    expect(run('list', { NODE_OPTIONS: '--jitless' })).toMatchObject({ stdout: 'right' });
  });

  it('is kept for each flag of the program', () => {
    setWord('right');
    run();
    const [name = ''] = readdirSync(cache).filter((each) => !each.endsWith('.commands'));
    const first = readFileSync(join(cache, name));
    expect(run('list', {}, {}, ['--max-semi-space-size=2'])).toEqual(right);
    expect(readFileSync(join(cache, name))).toEqual(first);
    expect(readdirSync(cache).filter((each) => !each.endsWith('.commands'))).toHaveLength(2);
  });

  it('is that of one source', () => {
    setWord('wrong');
    run();
    setWord('right');
    expect(run()).toEqual(right);
  });

  it('is made again when it was not used, and then has the functions of more commands', () => {
    setWord('right');
    run();
    writeFileSync(compiled(), 'damaged');
    run();
    const repaired = readFileSync(compiled());
    expect(repaired.length).toBeGreaterThan(100);
    run('cat');
    expect(
      readFileSync(join(cache, readdirSync(cache).find((name) => name.endsWith('.commands')) ?? ''), 'utf8'),
    ).toBe('list\ncat');
  });

  it.each<[string, NodeJS.ProcessEnv]>([
    ['cannot be made', { XDG_CACHE_HOME: '/proc/no-such' }],
    ['has no home', { XDG_CACHE_HOME: 'relative', HOME: '/proc/no-such' }],
  ])('is done without where it %s', (_, env) => {
    setWord('right');
    expect(run('list', env)).toEqual(right);
  });

  it.runIf(process.geteuid?.() === 0).each(['', '.'])(
    'is not kept in the current folder with HOME=%s',
    (HOME) => {
      // This user has no entry in passwd(5).
      const uid = 54_321;
      const cwd = mkdtempSync(join(folder, 'current-'));
      chownSync(cwd, uid, uid);
      chmodSync(folder, 0o755);
      setWord('right');
      expect(run('list', { XDG_CACHE_HOME: '', HOME }, { uid, cwd })).toEqual(right);
      expect(readdirSync(cwd)).toEqual([]);
    },
  );
});
