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
