import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { campaign, type LeaderLock } from '../../src/election/leadership.ts';

const TTL = 100;

/** A lock that is free and always renewed, each of which takes `took` ms by a clock that does not move otherwise. */
function slowLock(took: { take: number; renew: number }) {
  let now = 0;
  let renewals = 0;
  const lock: LeaderLock = {
    ttlMs: TTL,
    async take() {
      now += took.take;
      return true;
    },
    async renew() {
      now += took.renew;
      renewals++;
      return true;
    },
    leave: async () => {},
    probe: async () => {},
    waitUntilFree: async () => {},
    close: async () => {},
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { lock, now: () => now, pass, renewals: () => renewals };
}

it('counts the time of a leader lock from before it was asked for, and less of it than clocks may differ by', async () => {
  const { lock, now, pass } = slowLock({ take: 0.8 * TTL, renew: 0 });
  const leadership = await campaign(lock, { signal: AbortSignal.timeout(1000), now });
  expect(leadership?.isHeld()).toBe(true);
  pass(0.1 * TTL);
  expect(leadership?.isHeld()).toBe(false);
});

it('counts it from before the renewal was asked for', async () => {
  const { lock, now, pass, renewals } = slowLock({ take: 0, renew: 0.8 * TTL });
  const leadership = await campaign(lock, { signal: AbortSignal.timeout(1000), now });
  while (renewals() === 0) await sleep(1);
  expect(leadership?.isHeld()).toBe(true);
  pass(0.1 * TTL);
  expect(leadership?.isHeld()).toBe(false);
});

it('does not act on a leader lock that was taken too slowly to be had', async () => {
  const { lock, now } = slowLock({ take: TTL, renew: 0 });
  const leadership = await campaign(lock, { signal: AbortSignal.timeout(1000), now });
  expect([leadership?.isHeld(), leadership?.lost.aborted]).toEqual([false, true]);
});
