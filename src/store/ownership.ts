import { closeSync, constants, fchownSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { attempt } from './system-error.ts';

/**
 * Gives an open file the owner and group of `folder`, in which root has made it: a command of root must not lock out
 * the user who owns the registry. By descriptor, since that user may put something else in its place meanwhile.
 * Does nothing for other users, and where the file system does not permit it.
 */
export function inheritOwner(file: number, folder: string): void {
  if (process.geteuid?.() !== 0) return;
  attempt(() => {
    const { uid, gid } = statSync(folder);
    fchownSync(file, uid, gid);
  });
}

/** The same for a folder that was just made. */
export function inheritFolderOwner(folder: string): void {
  if (process.geteuid?.() !== 0) return;
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
  const file = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    inheritOwner(file, dirname(folder));
  } finally {
    closeSync(file);
  }
}
