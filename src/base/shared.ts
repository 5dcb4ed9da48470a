import { setTimeout as sleep } from 'node:timers/promises';

/** The longest rest after a run, in ms. */
const LONGEST_REST_MS = 250;

/**
 * The same work for callers to share: a call while it runs gets the next run, so that a result is never older than its
 * call. Runs do not overlap, and each is followed by a rest as long as it was itself, for other work of this process.
 */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let restsUntil = 0;
  let next: Promise<T> | undefined;
  const run = async (): Promise<T> => {
    await last;
    const rest = restsUntil - performance.now();
    if (rest > 0) await sleep(rest);
    next = undefined;
    const began = performance.now();
    try {
      return await work();
    } finally {
      const ended = performance.now();
      restsUntil = ended + Math.min(ended - began, LONGEST_REST_MS);
    }
  };
  return () => {
    if (next !== undefined) return next;
    next = run();
    last = next.catch(() => undefined);
    return next;
  };
}
