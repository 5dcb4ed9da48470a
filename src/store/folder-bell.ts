import { watch } from 'node:fs';
import { attempt } from './system-error.ts';

/**
 * Calls `ring` when something in the folder changes, and every `pollMs` for what the kernel does not tell: a folder
 * that is not there yet or is put in the place of another, a file system without notice (NFS), and a user whose
 * inotify(7) watches are used up. Returns what ends it.
 */
export function ringOnChange(folder: string, pollMs: number, ring: () => void): () => void {
  const poll = setInterval(ring, pollMs);
  const watcher = attempt(() => watch(folder, ring));
  watcher?.on('error', () => watcher.close());
  return () => {
    clearInterval(poll);
    watcher?.close();
  };
}
