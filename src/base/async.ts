import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `work` with a signal that aborts with any of `signals`. AbortSignal.any would do, but as of Node 20 it leaves
 * something behind in a signal that lives long, every time.
 */
export async function untilAny<T>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const any = new AbortController();
  const abort = (): void => any.abort();
  for (const signal of signals) {
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
  }
  try {
    return await work(any.signal);
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort);
  }
}

/** A promise with the functions that settle it: Promise.withResolvers, which Node 20 lacks. */
export type Deferred<T> = {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
};

export function deferred<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  if (settle === undefined) throw new TypeError('a promise has not run its executor');
  return { promise, ...settle };
}

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
