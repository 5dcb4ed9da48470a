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

/** What `work` settles to, or after `ms` what `late` returns or throws. */
export async function withTimeout<T, L>(ms: number, work: Promise<T>, late: () => L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    return await Promise.race([work, timeout.then(late)]);
  } finally {
    clearTimeout(timer);
  }
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

/** Runs work, at most a number of pieces at a time. */
export type Limit = <T>(work: () => Promise<T>) => Promise<T>;

/** A limit that runs at most `most` pieces of work at a time; the others wait in the order in which they came. */
export function createLimit(most: number): Limit {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < most) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The place goes to the next in line, so that a later request cannot overtake it.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
