import { watch } from 'node:fs';
import { deferred } from '../base/async.ts';
import { attempt } from './system-error.ts';

/** The waits for a change of one store; they end when it is closed. */
export type Waits = {
  /**
   * Calls `hasChanged` now and after every ring of its bell; resolves with true when that returns true. False when
   * `signal` aborts or the waits are closed. `arrange` connects the bell to its source, and returns the way to undo that.
   */
  until(
    hasChanged: () => boolean | Promise<boolean>,
    signal: AbortSignal,
    arrange?: (ring: () => void) => () => void,
  ): Promise<boolean>;
  ringAll(): void;
  /** Ends every wait, also those to come. */
  close(): void;
};

export function createWaits(): Waits {
  const bells = new Set<() => void>();
  let closed = false;
  const ringAll = (): void => {
    for (const ring of bells) ring();
  };
  return {
    async until(hasChanged, signal, arrange) {
      const bell = createBell();
      bells.add(bell.ring);
      signal.addEventListener('abort', bell.ring);
      const undo = arrange?.(bell.ring);
      try {
        while (!closed && !signal.aborted) {
          if (await hasChanged()) return true;
          await bell.rung();
        }
        return false;
      } finally {
        undo?.();
        signal.removeEventListener('abort', bell.ring);
        bells.delete(bell.ring);
      }
    },
    ringAll,
    close() {
      closed = true;
      ringAll();
    },
  };
}

/** A notification that is kept until the next wait. */
function createBell(): { readonly ring: () => void; readonly rung: () => Promise<void> } {
  let next = deferred<void>();
  return {
    ring: () => next.resolve(),
    async rung() {
      await next.promise;
      next = deferred();
    },
  };
}

/**
 * Calls `ring` when something in the folder changes, and every `pollMs` for changes that the kernel does not report: a
 * folder that does not exist yet or is replaced, a file system without notifications (NFS), and a user without free
 * inotify(7) watches. Returns the function that stops it.
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
