import { chownSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The user `nobody` of Debian. */
const UNPRIVILEGED = 65_534;

/** Runs `work` as a user without root's rights who owns the paths: the current user, or `nobody` if that is root. */
export async function asUser(paths: readonly string[], work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return work();
  for (const path of paths) chownSync(path, UNPRIVILEGED, UNPRIVILEGED);
  process.seteuid?.(UNPRIVILEGED);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use after a garbage collection, in the heap and in external buffers. */
export function usedMemory(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
