/** Where time comes from, so that a test can say what time it is. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** Epoch ms that never jump: the time of day at this moment, and from then on what a monotonic clock counts. */
export function steadyClock(): Clock {
  const start = Date.now() - performance.now();
  return { now: () => start + performance.now() };
}
