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
