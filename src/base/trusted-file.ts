import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { FleetError } from './errors.ts';
import { quoted } from './visible.ts';

/** In bytes: no file that a person writes is longer, but a device or the wrong file can be. */
export const LARGEST_FILE = 1024 * 1024;

/** S_ISVTX of stat(2). */
const STICKY = 0o1000;

/** The user that a controller runs as. */
const CONTROLLER = 'fleet';

/** A file that must not be used; `why` is the end of a sentence about it. */
export class UnusableFile extends FleetError {
  readonly why: string;

  constructor(path: string, why: string, hint?: string) {
    super('config', `Cannot use ${quoted(path)}: ${why}`, { hint });
    this.why = why;
  }
}

/**
 * Reads a file that decides what is executed: a regular file of at most `most` bytes that belongs to this user or to
 * root, and that no other user may write. The open file is checked (fstat(2)), so that it cannot be exchanged in
 * between. A pipe without a writer does not block. `/dev/null` is empty, and an inherited pipe (`/dev/fd/63`, for
 * `--config <(…)`) is read to its end.
 * Throws UnusableFile, whose hint makes the file usable, and errors of node:fs.
 */
export function readTrusted(path: string, most: number = LARGEST_FILE): Buffer {
  if (path === '/dev/null') return Buffer.alloc(0);
  const isGiven = /^\/(?:dev|proc\/self)\/fd\/\d+$/.test(path);
  const file = openFile(path, isGiven ? 0 : constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    const kind = isGiven && stats.isFIFO() ? undefined : kindOf(stats);
    if (kind !== undefined) throw new UnusableFile(path, `it is a ${kind}`);
    checkLink(path);
    checkAccess(path, stats);
    return readUpTo(file, path, stats.size, most);
  } finally {
    closeSync(file);
  }
}

/** The text of such a file, in UTF-8. */
export function readTrustedText(path: string, most?: number): string {
  return readTrusted(path, most).toString('utf8');
}

/**
 * Checks the owner and mode in the same way for a folder, or a file that is not read here. With `shared`, a folder with
 * a sticky bit may be writable. A missing or inaccessible path is accepted: its reader fails. Throws UnusableFile.
 */
export function checkTrusted(path: string, shared: 'shared' | 'alone' = 'alone'): void {
  let stats: Stats;
  try {
    checkLink(path);
    stats = statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return;
    throw error;
  }
  if (shared === 'alone') checkAccess(path, stats);
  else if ((stats.mode & STICKY) === 0) checkWriters(path, stats);
}

/** Whether the socket belongs to this user, to root or to the controller. Answers of other users are not trusted. */
export function isTrustedSocket(path: string): boolean {
  const { uid } = lstatSync(path);
  return isTrustedOwner(uid) || nameOf(uid) === CONTROLLER;
}

/** The type of a path that is not a regular file; undefined for a regular file. */
function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'folder';
  if (stats.isFIFO()) return 'pipe';
  return stats.isSocket() ? 'socket' : 'device';
}

function openFile(path: string, flags: number): number {
  try {
    return openSync(path, constants.O_RDONLY | flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    throw new UnusableFile(path, 'it is a socket');
  }
}

/** `size` is that of the file, or 0 for a pipe: buffers of another size cost more than the reading of a small file. */
function readUpTo(file: number, path: string, size: number, most: number): Buffer {
  const chunks: Buffer[] = [];
  const step = size === 0 ? 64 * 1024 : Math.min(size + 1, 64 * 1024);
  for (let left = most + 1; left > 0; ) {
    const chunk = Buffer.allocUnsafe(Math.min(left, step));
    const length = readSync(file, chunk);
    if (length === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, length));
    left -= length;
  }
  throw new UnusableFile(path, `it is longer than ${most / 1024 / 1024} MiB`);
}

/** Rejects a link of another user, which could point to any file of this user. A folder with a sticky bit can have one. */
function checkLink(path: string): void {
  const link = lstatSync(path);
  if (!link.isSymbolicLink() || isTrustedOwner(link.uid)) return;
  const owner = nameOf(link.uid) ?? `user ${link.uid}`;
  throw new UnusableFile(path, `it is a link that belongs to ${owner}`, 'Name the file that it leads to');
}

function checkAccess(path: string, stats: Stats): void {
  if (!isTrustedOwner(stats.uid)) {
    const owner = nameOf(stats.uid) ?? `user ${stats.uid}`;
    const me = nameOf(process.geteuid?.() ?? stats.uid) ?? 'root';
    throw new UnusableFile(
      path,
      `it belongs to ${owner} (mode ${modeOf(stats)}), and another user must not decide what you run`,
      `If you trust it: chown ${me} ${word(path)}`,
    );
  }
  checkWriters(path, stats);
}

function checkWriters(path: string, stats: Stats): void {
  const others = (stats.mode & 0o002) !== 0;
  const group = (stats.mode & 0o020) !== 0 && !isOwnGroup(stats.uid, stats.gid);
  if (!others && !group) return;
  const owner = nameOf(stats.uid) ?? `user ${stats.uid}`;
  throw new UnusableFile(
    path,
    `other users may write it (owner ${owner}, mode ${modeOf(stats)})`,
    `If you trust it: chmod ${others ? 'go-w' : 'g-w'} ${word(path)}`,
  );
}

/**
 * Root also trusts the user that runs this command with sudo, and the user of the controller, which decides what runs as
 * root on every machine.
 */
function isTrustedOwner(uid: number): boolean {
  const me = process.geteuid?.() ?? uid;
  if (uid === 0 || uid === me) return true;
  return me === 0 && (String(uid) === process.env.SUDO_UID || nameOf(uid) === CONTROLLER);
}

/** True when /etc/group and /etc/passwd list no other user in the group. Debian creates such a group for every user. */
function isOwnGroup(uid: number, gid: number): boolean {
  const owner = nameOf(uid);
  const members = rows('/etc/group').find(([, , id]) => id === String(gid))?.[3] ?? '';
  const primary = rows('/etc/passwd')
    .filter(([, , , group]) => group === String(gid))
    .map(([name]) => name);
  const all = [...members.split(',').filter((name) => name !== ''), ...primary];
  return all.length > 0 && all.every((name) => name === owner);
}

function nameOf(uid: number): string | undefined {
  return rows('/etc/passwd').find(([, , id]) => id === String(uid))?.[0];
}

function rows(path: string): readonly (readonly string[])[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((row) => row.split(':'));
  } catch {
    return [];
  }
}

function modeOf({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

/** A path as a word of a shown command. */
function word(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : quoted(path);
}
