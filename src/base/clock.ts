import { uptime } from 'node:os';

/** Where time comes from, so that a test can say what time it is. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/**
 * How much faster than another one a clock may run, as a share: whoever waits for what another clock counts waits so much
 * longer. chrony, which many machines keep their time with, slows a clock down by up to a twelfth while it corrects
 * it (chrony.conf(5), `maxslewrate`); all else that happens to clocks stays below a thousandth.
 */
export const CLOCK_DRIFT = 0.1;

export const systemClock: Clock = { now: () => Date.now() };

/** Epoch ms that never jump: the time of day at this moment, and from then on what a monotonic clock counts. */
export function steadyClock(): Clock {
  const start = Date.now() - performance.now();
  return { now: () => start + performance.now() };
}

/** Ms since this computer booted, also while it was suspended: no setting of the time of day changes it. */
export const uptimeClock: Clock = { now: () => Math.round(uptime() * 1000) };
