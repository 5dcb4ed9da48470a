import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { campaign } from '../../src/lease/campaign.ts';
import type { Seat } from '../../src/lease/seat.ts';

const TTL = 100;

/** A seat that is free and always renewed, each of which takes `took` ms by a clock that stands still otherwise. */
function slowSeat(took: { take: number; renew: number }) {
  let now = 0;
  let renewals = 0;
  const seat: Seat = {
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
  return { seat, now: () => now, pass, renewals: () => renewals };
}

it('counts the time of a seat from before it was asked for, and less of it than clocks may differ by', async () => {
  const { seat, now, pass } = slowSeat({ take: 0.8 * TTL, renew: 0 });
  const leadership = await campaign(seat, { signal: AbortSignal.timeout(1000), now });
  expect(leadership?.isHeld()).toBe(true);
  pass(0.1 * TTL);
  expect(leadership?.isHeld()).toBe(false);
});

it('counts it from before the renewal was asked for', async () => {
  const { seat, now, pass, renewals } = slowSeat({ take: 0, renew: 0.8 * TTL });
  const leadership = await campaign(seat, { signal: AbortSignal.timeout(1000), now });
  while (renewals() === 0) await sleep(1);
  expect(leadership?.isHeld()).toBe(true);
  pass(0.1 * TTL);
  expect(leadership?.isHeld()).toBe(false);
});

it('does not act on a seat that was taken too slowly to be had', async () => {
  const { seat, now } = slowSeat({ take: TTL, renew: 0 });
  const leadership = await campaign(seat, { signal: AbortSignal.timeout(1000), now });
  expect([leadership?.isHeld(), leadership?.lost.aborted]).toEqual([false, true]);
});
