import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { access, constants, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolders } from '../base/folders.ts';
import { inheritFolderOwner, inheritOwner } from './owner.ts';
import { EMPTY_SNAPSHOT, type Snapshot } from './snapshot.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot-file.ts';
import { hasCode, unavailable } from './system-error.ts';

/** A snapshot with the version of its file: files with equal versions have equal contents. */
export type StoredSnapshot = { readonly snapshot: Snapshot; readonly version: string };

export const NOTHING_STORED: StoredSnapshot = { snapshot: EMPTY_SNAPSHOT, version: '' };

/** The file that holds the registry, in its folder. */
export function recordsPath(folder: string): string {
  return join(folder, 'records');
}

/**
 * Reads the snapshot, or returns `known` if the file has not changed. A missing file or folder is an empty
 * store. Creates nothing. Throws `registry-corrupt`, `registry-newer` and errors of node:fs.
 *
 * Synchronous: reading the file's header takes a few microseconds, a fiftieth of the time with promises.
 */
export function readStored(folder: string, known: StoredSnapshot): StoredSnapshot {
  const path = recordsPath(folder);
  const file = openIfThere(path);
  if (file === undefined) return NOTHING_STORED;
  try {
    const version = versionOf(file);
    if (version === known.version) return known;
    return { version, snapshot: decodeSnapshot(path, readFileSync(file)) };
  } finally {
    closeSync(file);
  }
}

/**
 * Replaces the snapshot, on disk when it resolves. Readers see the old one or the new one. No other
 * process may use `name`. On an error nothing has changed, unless it came from the fsync of the folder at the very end:
 * then the new snapshot can be read, but may not survive a power loss.
 */
export async function writeStored(folder: string, name: string, snapshot: Snapshot): Promise<StoredSnapshot> {
  const path = join(folder, `records.${name}`);
  try {
    const version = await writeDurably(path, encodeSnapshot(snapshot));
    await rename(path, recordsPath(folder));
    await syncFolder(folder);
    return { snapshot, version };
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  }
}

/**
 * Makes the folder and its missing parents, with access for the owner only; they are on disk when it resolves. Folders
 * that root makes get the owner of the folder above them.
 */
export async function makeFolder(folder: string): Promise<void> {
  const first = makeFolders(folder, 0o700);
  if (first === undefined) return;
  const made: string[] = [];
  for (let each = folder; each.length >= first.length; each = dirname(each)) made.unshift(each);
  for (const each of made) inheritFolderOwner(each);
  for (const each of made) await syncFolder(dirname(each));
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * For files that fleet wrote, the revision and the checksum would be enough; the header is shorter than 256 bytes.
 * The rest is for files changed by other means. It is not enough alone: inode numbers are reused at once, and timestamps
 * are coarse.
 */
function versionOf(file: number): string {
  const { ino, mtimeNs, size } = fstatSync(file, { bigint: true });
  const head = Buffer.alloc(256);
  const length = readSync(file, head, 0, head.length, 0);
  return `${ino} ${mtimeNs} ${size} ${head.toString('latin1', 0, length)}`;
}

async function writeDurably(path: string, bytes: Buffer): Promise<string> {
  const handle = await open(path, 'wx+', 0o600);
  try {
    inheritOwner(handle.fd, dirname(path));
    await handle.writeFile(bytes);
    await handle.sync();
    return versionOf(handle.fd);
  } finally {
    await handle.close();
  }
}

/** Creations, renames and removals in a folder are on disk when this resolves. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Rejects with `registry-unavailable` where a store in this folder could not be written; changes nothing. The first
 * commit makes a missing folder, in the one above it.
 */
export async function probeFolder(folder: string): Promise<void> {
  try {
    await access(await nearestFolder(folder), constants.W_OK | constants.X_OK);
    await access(recordsPath(folder), constants.R_OK).catch((error) => {
      if (!hasCode(error, 'ENOENT')) throw error;
    });
  } catch (error) {
    throw unavailable('write', folder, error);
  }
}

async function nearestFolder(folder: string): Promise<string> {
  try {
    await access(folder, constants.F_OK);
    return folder;
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(folder) === folder) throw error;
    return nearestFolder(dirname(folder));
  }
}
