/** A time limit that is paused while the user is asked. */
export type Deadline = {
  /** Pauses the limit until the work has settled. */
  readonly pauseWhile: <T>(work: Promise<T>) => Promise<T>;
  readonly cancel: () => void;
};

/** Calls `late` once `ms` have passed, pauses not counted. */
export function createDeadline(ms: number, late: () => void): Deadline {
  let left = ms;
  let pauses = 0;
  let since = performance.now();
  let timer: NodeJS.Timeout | undefined = setTimeout(late, left);
  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  let isOver = false;
  return {
    pauseWhile: async (work) => {
      if (pauses++ === 0 && !isOver) {
        stop();
        left -= performance.now() - since;
      }
      try {
        return await work;
      } finally {
        if (--pauses === 0 && !isOver) {
          since = performance.now();
          timer = setTimeout(late, Math.max(0, left));
        }
      }
    },
    cancel: () => {
      isOver = true;
      stop();
    },
  };
}

/** The first pause, in ms; each next one is twice as long, up to a maximum. */
const FIRST_MS = 100;
const LONGEST_MS = 1000;
const MOST_PAUSES = 8;

/**
 * Pauses before further attempts, as long as time is left. Each is random, between half of its maximum and all of it, so that
 * clients that were refused at the same time do not retry at the same time.
 */
export class BackOff {
  readonly #end: number;
  #pauses = 0;

  /** `budgetMs` is the time for all attempts and pauses together, from now on. */
  constructor(budgetMs: number) {
    this.#end = performance.now() + budgetMs;
  }

  /** The time that is left, in ms; negative when it is over. */
  get leftMs(): number {
    return this.#end - performance.now();
  }

  /** Waits, and returns true if there is time for another attempt. `signal` ends the wait with false. */
  async pause(signal: AbortSignal): Promise<boolean> {
    const most = Math.min(FIRST_MS * 2 ** this.#pauses, LONGEST_MS);
    const ms = most * (0.5 + Math.random() / 2);
    this.#pauses++;
    if (signal.aborted || this.#pauses > MOST_PAUSES || ms >= this.leftMs) return false;
    return new Promise((resolve) => {
      const done = (isOver: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        resolve(isOver);
      };
      const abort = (): void => done(false);
      const timer = setTimeout(() => done(true), ms);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}
