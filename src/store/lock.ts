import { randomBytes } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { inheritOwner, mayBeRunning, type Owner, parseOwner, thisProcess } from './owner.ts';
import { attempt, hasCode } from './system-error.ts';

/**
 * The right to write one revision. There is no lock on the store as such: `lock.<revision>.<turn>` in its
 * folder names the process that may write that revision, and is void as soon as that revision is written. Nothing has to
 * be released after a commit, and a process that is killed just after its commit leaves no valid lock.
 *
 * Why at most one process writes a revision R (the store is at R-1, its file is replaced by rename):
 *
 * 1. `lock.R.*` are removed only when the store has reached R. Until then no name is ever used twice.
 * 2. A process makes the first name of 1, 2, 3… that does not exist, having found each one before it ended:
 *    its owner dead, or the file empty, which is how an owner gives up. link(2) makes the file with its
 *    contents, or fails because another process was faster. So before R is written, one name at most belongs
 *    to a process that is alive and has not given up.
 * 3. A slow process may make a name that has been removed. By 1 the store is then at R or later; it reads the
 *    revision after link(2) and before anything else, so it finds out and starts again.
 *
 * No step lists the folder: a listing is not atomic, and may miss one file removed and another one made
 * at the same time. A file that does not describe an owner counts as given up: no live process has made it, since
 * link(2) publishes complete files only; a power loss can leave one.
 *
 * For the processes of one machine. Others that share the folder over a network look as if they had died in
 * an earlier boot.
 *
 * Plain files, since Node has no flock(2), and a socket as a lock would not do: an abstract one is Linux only
 * and not shared between containers, one in the folder must have a path of about 100 bytes at most.
 */
export type Lock = {
  /** `<revision>.<turn>`: no other process writes a file with this in its name. */
  readonly name: string;
  /** Releases the lock: without a commit, so that others can continue; after one, only to close the file. */
  release(): void;
};

export type LockAttempt =
  | { readonly kind: 'locked'; readonly lock: Lock }
  /** A process that may be running has it. */
  | { readonly kind: 'busy'; readonly owner: Owner; readonly path: string }
  /** The revision is written, or another process was faster: try again. */
  | { readonly kind: 'late' };

/**
 * Tries once to get the right to write `revision`; `current` reads the revision the store is at now.
 * Synchronous: each call takes microseconds on an existing folder.
 * Throws errors of node:fs.
 */
export function tryLock(folder: string, revision: number, current: () => number): LockAttempt {
  for (let turn = 1; ; turn++) {
    const name = `${revision}.${turn}`;
    const path = join(folder, `lock.${name}`);
    const found = readOwner(path);
    if (found === 'absent') return take(folder, name, () => current() === revision - 1);
    if (found !== 'ended') return { kind: 'busy', owner: found, path };
  }
}

/**
 * Removes the files that killed processes and the commits up to `revision` have left in the folder; that revision must
 * be written. Errors are ignored: the commit is done and must not fail, and the next call tries again.
 */
export function sweepLocks(folder: string, revision: number): void {
  for (const name of attempt(() => readdirSync(folder)) ?? []) {
    const path = join(folder, name);
    const written = /^(?:lock|records)\.(\d+)\.\d+$/.exec(name)?.[1];
    const left = written === undefined ? isDeadCandidate(path, name) : Number(written) <= revision;
    if (left) attempt(() => unlinkSync(path));
  }
}

/** Makes `lock.<name>`, unless another process was faster or `stillNeeded` says no once it is made. */
function take(folder: string, name: string, stillNeeded: () => boolean): LockAttempt {
  const candidate = join(folder, `candidate.${randomBytes(8).toString('hex')}`);
  const path = join(folder, `lock.${name}`);
  const file = openSync(candidate, 'wx', 0o600);
  let lock: Lock | undefined;
  try {
    inheritOwner(file, folder);
    writeFileSync(file, JSON.stringify(thisProcess()));
    if (!linked(candidate, path)) return { kind: 'late' };
    if (!stillNeeded()) {
      attempt(() => unlinkSync(path));
      return { kind: 'late' };
    }
    lock = { name, release: () => giveUp(file) };
    return { kind: 'locked', lock };
  } finally {
    attempt(() => unlinkSync(candidate));
    if (!lock) giveUp(file);
  }
}

/** False when `path` exists, or when `candidate` is gone because a sweep took it for a dead process's. */
function linked(candidate: string, path: string): boolean {
  try {
    linkSync(candidate, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST') || hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Empties the file, which needs no space on a full disk and no name that might be another's by now. */
function giveUp(file: number): void {
  try {
    ftruncateSync(file);
  } finally {
    closeSync(file);
  }
}

function isDeadCandidate(path: string, name: string): boolean {
  return name.startsWith('candidate.') && attempt(() => readOwner(path)) === 'ended';
}

function readOwner(path: string): Owner | 'absent' | 'ended' {
  try {
    const owner = parseOwner(readFileSync(path, 'utf8'));
    return owner && mayBeRunning(owner) ? owner : 'ended';
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'absent';
    throw error;
  }
}
