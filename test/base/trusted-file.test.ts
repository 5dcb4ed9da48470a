import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkTrusted, readTrusted, readTrustedText } from '../../src/base/trusted-file.ts';
import { bundle } from '../support/bundle.ts';
import { asUser } from '../support/process.ts';

const IS_ROOT = process.geteuid?.() === 0;
const STRANGER = 54_321;

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-trusted-'));
  chmodSync(folder, 0o755);
  path = join(folder, 'file');
  writeFileSync(path, 'text');
  chmodSync(path, 0o644);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Message and hint, with the folder left out. */
function problem(read: () => unknown): readonly (string | undefined)[] {
  try {
    read();
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    return [message, hint].map((text) => text?.replaceAll(`${folder}/`, ''));
  }
  return [];
}

describe('a file that decides what is executed', () => {
  it.each([0o644, 0o600, 0o400, 0o640])('is read with mode %o', (mode) => {
    chmodSync(path, mode);
    expect(readTrustedText(path)).toBe('text');
  });

  it.each([
    ['a pipe', () => spawnSync('mkfifo', [path])],
    ['a folder', () => mkdirSync(path)],
    ['a device', () => symlinkSync('/dev/zero', path)],
  ])('is not %s, for which nothing waits', (kind, make) => {
    rmSync(path);
    make();
    expect(problem(() => readTrusted(path))).toEqual([`Cannot use "file": it is ${kind}`, undefined]);
  });

  it('is not longer than the limit', () => {
    writeFileSync(path, Buffer.alloc(1024 * 1024));
    expect(readTrusted(path)).toHaveLength(1024 * 1024);
    writeFileSync(path, Buffer.alloc(1024 * 1024 + 1));
    expect(problem(() => readTrusted(path))).toEqual([
      'Cannot use "file": it is longer than 1 MiB',
      undefined,
    ]);
  });

  it.skipIf(!IS_ROOT)('is not reached by a link of another user', () => {
    const link = join(folder, 'link');
    symlinkSync(path, link);
    expect(readTrustedText(link)).toBe('text');
    lchownSync(link, STRANGER, STRANGER);
    expect(problem(() => readTrusted(link))).toEqual([
      `Cannot use "link": it is a link that belongs to user ${STRANGER}`,
      'Name the file that it leads to',
    ]);
  });

  it('may be a pipe that this process was given', async () => {
    const worker = await bundle(new URL('file-worker.ts', import.meta.url), folder);
    const words = ['-c', '"$0" "$1" <(printf text)', process.execPath, worker];
    expect(spawnSync('bash', words, { encoding: 'utf8' })).toMatchObject({ stdout: 'text', stderr: '' });
  });

  it('is empty as /dev/null', () => {
    expect(readTrusted('/dev/null')).toHaveLength(0);
  });

  it.each([0o666, 0o602, 0o646])('is not written by all, with mode %o', (mode) => {
    chmodSync(path, mode);
    expect(problem(() => readTrusted(path))).toEqual([
      expect.stringMatching(
        new RegExp(
          `^Cannot use "file": other users may write it \\(owner \\w+, mode 0${mode.toString(8)}\\)$`,
        ),
      ),
      'If you trust it: chmod go-w file',
    ]);
  });

  it('that is missing is an error of the system', () => {
    expect(() => readTrusted(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});

// Owners are given by root.
describe.runIf(IS_ROOT)('a file that decides what is executed, of several users,', () => {
  const REFUSED = [
    `Cannot use "file": it belongs to user ${STRANGER} (mode 0644), and another user must not decide what you run`,
    'If you trust it: chown root file',
  ];

  it('is not read by root where it belongs to another user', () => {
    chownSync(path, STRANGER, STRANGER);
    expect(problem(() => readTrusted(path))).toEqual(REFUSED);
  });

  it('is read where it belongs to the person behind sudo, for root alone', async () => {
    chownSync(path, STRANGER, STRANGER);
    vi.stubEnv('SUDO_UID', `${STRANGER}`);
    expect(readTrustedText(path)).toBe('text');
    await asUser([folder], async () =>
      expect(problem(() => readTrusted(path))[0]).toMatch(/belongs to user 54321/),
    );
  });

  it('is read by a user where it is the own one, or that of root', async () => {
    await asUser([folder], async () => expect(readTrustedText(path)).toBe('text'));
    await asUser([folder, path], async () => expect(readTrustedText(path)).toBe('text'));
  });

  it('is not written by a group of others', () => {
    chownSync(path, 0, STRANGER);
    chmodSync(path, 0o664);
    expect(problem(() => readTrusted(path))).toEqual([
      'Cannot use "file": other users may write it (owner root, mode 0664)',
      'If you trust it: chmod g-w file',
    ]);
  });

  it('is not the target of a link of another user that leads to a foreign file', () => {
    chownSync(path, STRANGER, STRANGER);
    symlinkSync(path, join(folder, 'link'));
    expect(problem(() => readTrusted(join(folder, 'link')))[0]).toMatch(/belongs to user 54321/);
  });

  it('is in a folder of the own user', () => {
    checkTrusted(folder);
    checkTrusted(join(folder, 'none'));
    chownSync(folder, STRANGER, STRANGER);
    expect(problem(() => checkTrusted(folder))[0]).toMatch(/belongs to user 54321 \(mode 0755\)/);
    chownSync(folder, 0, 0);
    chmodSync(folder, 0o1777);
    checkTrusted(folder, 'shared');
    expect(problem(() => checkTrusted(folder))[0]).toMatch(/other users may write it/);
  });
});
