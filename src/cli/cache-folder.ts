import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { Streams } from './streams.ts';

// `load.ts` has the same rules for itself, because it loads no other file.

/** The largest file that is read, in bytes. */
const MOST_BYTES = 256 * 1024 * 1024;

/** `$XDG_CACHE_HOME/fleet/NAME`. */
export function cacheFolder(
  name: string,
  { env: { XDG_CACHE_HOME = '' }, home }: Pick<Streams, 'env' | 'home'>,
): string {
  // A relative path is invalid and to be ignored (XDG Base Directory Specification).
  const root = isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(home, '.cache');
  return join(root, 'fleet', name);
}

/**
 * The text of a file; undefined if it cannot be read, or unless file and folder belong to this user and no other user can
 * write to them.
 */
export function readPrivate(path: string): string | undefined {
  return quietly(() => {
    if (!isPrivateFolder(dirname(path))) return undefined;
    // O_NONBLOCK: to open a FIFO would wait for its other end.
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      const isUsed = stats.isFile() && isPrivate(stats) && stats.size <= MOST_BYTES;
      return isUsed ? readFileSync(file, 'utf8') : undefined;
    } finally {
      closeSync(file);
    }
  });
}

/**
 * Replaces a file, and makes its folder if it is missing. Nothing is written if another user can write to the folder, and a failure
 * is ignored, because only time is lost. It follows no link.
 */
export function writePrivate(path: string, content: string): void {
  quietly(() => {
    makeFolder(dirname(path), 3);
    if (!isPrivateFolder(dirname(path))) return;
    const draft = `${path}.${process.pid}`;
    try {
      writeFileSync(draft, content, { mode: 0o600, flag: 'wx' });
      renameSync(draft, path);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
  });
}

/** The result of `work`; undefined if it fails. */
export function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** Whether a folder belongs to this user, and no other user can write to it. */
export function isPrivateFolder(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && isPrivate(stats);
}

/** Owned by this user, and no other user can write to it. */
function isPrivate({ uid, mode }: Stats): boolean {
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

/** Makes a folder and at most the `levels - 1` above it: a home folder is not made here. */
function makeFolder(path: string, levels: number): void {
  if (levels === 0 || lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeFolder(dirname(path), levels - 1);
  mkdirSync(path, { mode: 0o700 });
}
