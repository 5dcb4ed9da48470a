import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { campaign, type Leadership } from '../../src/lease/campaign.ts';
import type { Seat } from '../../src/lease/seat.ts';

/** How long a seat is had without being renewed: the least that etcd can do. */
export const TTL = 1000;

/** What every seat must do. `setUp` is called before each test; `open` gives a way to the same seat, for somebody else. */
export function describeSeat(name: string, setUp: () => Promise<{ readonly open: () => Seat }>): void {
  let open: () => Seat;
  let opened: Seat[];
  let won: Leadership[];
  let stop: AbortController;

  beforeEach(async () => {
    const tested = await setUp();
    [opened, won, stop] = [[], [], new AbortController()];
    open = () => {
      const seat = tested.open();
      opened.push(seat);
      return seat;
    };
  });

  afterEach(async () => {
    stop.abort();
    await Promise.all(won.map((leadership) => leadership.resign()));
    await Promise.all(opened.map((seat) => seat.close()));
  });

  describe(`${name}: a campaign`, () => {
    it('is won at once where nobody leads', async () => {
      const leadership = await win();
      expect([leadership.isHeld(), leadership.lost.aborted]).toEqual([true, false]);
    });

    it('is won by one of many', async () => {
      const all = Array.from({ length: 5 }, () => win());
      const first = await Promise.race(all);
      await sleep(300);
      expect(won).toEqual([first]);
    });

    it('is won by those who wait, one after the other, as soon as the leader resigns', async () => {
      const order: Leadership[] = [];
      const all = Array.from({ length: 3 }, () => win().then((leadership) => order.push(leadership)));
      await Promise.race(all);
      for (let next = 1; next < 3; next++) {
        const since = performance.now();
        await order[next - 1]?.resign();
        await expect.poll(() => order.length, { interval: 5 }).toBe(next + 1);
        expect(performance.now() - since).toBeLessThan(TTL);
        expect(order.map((each) => each.isHeld())).toEqual(order.map((_, i) => i === next));
      }
    });

    it('ends without a leader when it is called off', async () => {
      await win();
      const waiting = campaign(open(), { signal: stop.signal });
      await sleep(20);
      stop.abort();
      expect(await waiting).toBeUndefined();
      expect(await campaign(open(), { signal: stop.signal })).toBeUndefined();
    });
  });

  // One that a busy box keeps from renewing in time loses its seat, as it should.
  describe(`${name}: a leader`, { retry: 3 }, () => {
    it('goes on for longer than the time of the seat', async () => {
      const leadership = await win();
      const other = win();
      await sleep(1.6 * TTL);
      expect([leadership.isHeld(), won.length]).toEqual([true, 1]);
      await leadership.resign();
      expect((await other).isHeld()).toBe(true);
    });

    it('that resigns does not lead any more, and says so', async () => {
      const leadership = await win();
      await leadership.resign();
      expect([leadership.isHeld(), leadership.lost.aborted]).toEqual([false, true]);
      await leadership.resign();
    });

    it('that is paused knows that its time is over before another leads', async () => {
      let paused = 0;
      const frozen = open();
      // It does not get to renew; the clock goes on.
      const leadership = await win(
        { ...frozen, renew: () => new Promise(() => {}) },
        () => performance.now() + paused,
      );
      const other = win();
      const heldWhenTaken = other.then(() => leadership.isHeld());
      await sleep(TTL / 2);
      expect([leadership.isHeld(), won.length]).toEqual([true, 1]);
      expect(await heldWhenTaken).toBe(false);
      paused = 10 * TTL;
      expect(leadership.isHeld()).toBe(false);
      expect(leadership.lost.aborted).toBe(true);
      won = won.filter((each) => each !== leadership);
    });

    it('that wakes up late does not lead, whatever it was told before', async () => {
      let late = 0;
      const leadership = await win(open(), () => performance.now() + late);
      late = TTL;
      expect(leadership.isHeld()).toBe(false);
      late = 0;
      expect(leadership.isHeld()).toBe(false);
    });

    it('stays through a failure of the store that ends in time', async () => {
      const seat = open();
      let failures = 2;
      const renew = async (): Promise<boolean> => {
        if (failures-- > 0) throw new Error('the store is away');
        return seat.renew();
      };
      const leadership = await win({ ...seat, renew });
      await sleep(1.3 * TTL);
      expect([leadership.isHeld(), failures < 0]).toEqual([true, true]);
    });
  });

  async function win(seat = open(), now?: () => number): Promise<Leadership> {
    const leadership = await campaign(seat, { signal: stop.signal, ...(now && { now }) });
    if (leadership === undefined) return new Promise(() => {});
    won.push(leadership);
    return leadership;
  }
}
