import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `work` with a signal that aborts with any of `signals`. AbortSignal.any is not used: in Node 20 every call leaks
 * memory in a signal that outlives it.
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

/** The result of `work`, or that of `late` if `work` takes longer than `ms`. */
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

/** The longest pause after a run, in ms. */
const MAX_PAUSE_MS = 250;

/**
 * Lets callers share the runs of `work`. A call during a run gets the next run, so that a result is never older than its
 * call. Runs do not overlap. A pause as long as the run follows each run, so that other work of this process can run.
 */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let pausedUntil = 0;
  let next: Promise<T> | undefined;
  const run = async (): Promise<T> => {
    await last;
    const pause = pausedUntil - performance.now();
    if (pause > 0) await sleep(pause);
    next = undefined;
    const began = performance.now();
    try {
      return await work();
    } finally {
      const ended = performance.now();
      pausedUntil = ended + Math.min(ended - began, MAX_PAUSE_MS);
    }
  };
  return () => {
    if (next !== undefined) return next;
    next = run();
    last = next.catch(() => undefined);
    return next;
  };
}

/** Runs work, with a limit on how many calls run at the same time. */
export type Limit = <T>(work: () => Promise<T>) => Promise<T>;

/** A limit of `most` calls at a time; the others wait in the order of their calls. */
export function createLimit(most: number): Limit {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < most) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The slot passes directly to the next waiting call, so that a later call cannot overtake it.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
