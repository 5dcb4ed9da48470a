import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { textCache } from '../../src/cli/voter-cache.ts';
import type { TextCache } from '../../src/quorum/voters.ts';

const HASH = sha256('text');

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fleet-text-cache-'));
  folder = join(home, 'fleet/registry');
  put(textCache(folder), 'text');
});
afterEach(() => rmSync(home, { recursive: true }));

const open = () => textCache(folder);

function put(cache: TextCache, text: string): void {
  cache.put(sha256(text), text);
  cache.keep([sha256(text)]);
}

describe('the cache of texts', () => {
  it('keeps a text for the next process', () => {
    expect(open().known()).toEqual([HASH]);
    expect(open().get(HASH)).toBe('text');
  });

  it('keeps no text that did not turn out to be one of the registry', () => {
    open().put(sha256('made up'), 'made up');
    expect(open().get(sha256('made up'))).toBeUndefined();
  });

  const damages: [what: string, damage: (path: string) => void][] = [
    ['an empty file', (path) => writeFileSync(path, '')],
    ['another text', (path) => writeFileSync(path, 'other')],
    ['a FIFO', (path) => void execFileSync('mkfifo', ['-m', '600', path])],
    ['a link', (path) => symlinkSync('/etc/hostname', path)],
    ['a file that others can write to', (path) => writeShared(path)],
  ];
  it.each(damages)('does not use %s, and removes it', (_, damage) => {
    rmSync(join(folder, HASH));
    damage(join(folder, HASH));
    const cache = open();
    expect(cache.get(HASH)).toBeUndefined();
    expect(cache.known()).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
    put(cache, 'text');
    expect(open().get(HASH)).toBe('text');
  });

  it('reads, writes and removes nothing in a folder behind a link, or that others can write to', () => {
    const other = join(home, 'other');
    mkdirSync(other);
    const names = Array.from({ length: 100 }, (_, at) => sha256(`${at}`));
    for (const name of names) writeFileSync(join(other, name), '');
    rmSync(folder, { recursive: true });
    symlinkSync(other, folder);
    const cache = open();
    put(cache, 'text');
    expect(readdirSync(other).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      names.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    rmSync(folder);
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    put(open(), 'text');
    expect(existsSync(join(folder, HASH))).toBe(false);
    expect(cache.get(HASH)).toBe('text');
  });

  it('releases other texts, and finds them in their files again', () => {
    const cache = open();
    put(cache, 'other');
    cache.keep([HASH]);
    rmSync(join(folder, sha256('other')));
    expect([cache.get(HASH), cache.get(sha256('other'))]).toEqual(['text', undefined]);
  });

  it('removes only its oldest files', () => {
    writeFileSync(join(folder, 'important'), '');
    const cache = open();
    for (let at = 0; at < 70; at++) {
      put(cache, `${at}`);
      cache.keep([]);
    }
    expect(readdirSync(folder)).toContain('important');
    expect(readdirSync(folder)).toHaveLength(65);
  });
});

function writeShared(path: string): void {
  writeFileSync(path, 'text');
  chmodSync(path, 0o666);
}
