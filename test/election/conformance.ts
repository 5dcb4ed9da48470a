import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, type TestContext } from 'vitest';
import { campaign, type HeldLeadership, type LeaderLock } from '../../src/election/leadership.ts';

/** How long a leader lock is had without being renewed, in ms: so long that a busy box renews it in time, too. */
export const TTL = 4000;

/** Takes what is to be done when the test is over. */
export type OnEnd = TestContext['onTestFinished'];

/** The contract of leader locks. `setUp` is called for each test; `open` opens the same lock for another candidate. */
export function describeLeaderLock(
  name: string,
  setUp: (onEnd: OnEnd) => { readonly open: () => LeaderLock },
): void {
  /** Those who want one lock, until the test ends. */
  function race({ onTestFinished }: TestContext) {
    const tested = setUp(onTestFinished);
    const opened: LeaderLock[] = [];
    const won: HeldLeadership[] = [];
    const stop = new AbortController();
    const open = (): LeaderLock => {
      const lock = tested.open();
      opened.push(lock);
      return lock;
    };
    const win = async (lock = open(), now?: () => number): Promise<HeldLeadership> => {
      const leadership = await campaign(lock, { signal: stop.signal, ...(now && { now }) });
      if (leadership === undefined) return new Promise(() => {});
      won.push(leadership);
      return leadership;
    };
    onTestFinished(async () => {
      stop.abort();
      await Promise.all(won.map((leadership) => leadership.resign()));
      await Promise.all(opened.map((lock) => lock.close()));
    });
    return { open, win, won, stop };
  }

  describe.concurrent(`${name}: a campaign`, () => {
    it('is won at once without a leader', async (context) => {
      const { win } = race(context);
      const leadership = await win();
      expect([leadership.isHeld(), leadership.lost.aborted]).toEqual([true, false]);
    });

    it('is won by one of many', async (context) => {
      const { win, won } = race(context);
      const all = Array.from({ length: 5 }, () => win());
      const first = await Promise.race(all);
      await sleep(300);
      expect(won).toEqual([first]);
    });

    it('is won by those who wait, one after the other, as soon as the leader resigns', async (context) => {
      const { win } = race(context);
      const order: HeldLeadership[] = [];
      const all = Array.from({ length: 3 }, () => win().then((leadership) => order.push(leadership)));
      await Promise.race(all);
      for (let next = 1; next < 3; next++) {
        const since = performance.now();
        await order[next - 1]?.resign();
        await context.expect.poll(() => order.length, { interval: 5 }).toBe(next + 1);
        expect(performance.now() - since).toBeLessThan(TTL);
        expect(order.map((each) => each.isHeld())).toEqual(order.map((_, i) => i === next));
      }
    });

    it('ends without a leader when it is called off', async (context) => {
      const { open, win, stop } = race(context);
      await win();
      const waiting = campaign(open(), { signal: stop.signal });
      await sleep(20);
      stop.abort();
      expect(await waiting).toBeUndefined();
      expect(await campaign(open(), { signal: stop.signal })).toBeUndefined();
    });
  });

  describe.concurrent(`${name}: a leader`, () => {
    it('lasts longer than the time of the leader lock', async (context) => {
      const { win, won } = race(context);
      const leadership = await win();
      const other = win();
      await sleep(1.6 * TTL);
      expect([leadership.isHeld(), won.length]).toEqual([true, 1]);
      await leadership.resign();
      expect((await other).isHeld()).toBe(true);
    });

    it('that resigns does not lead any more, and says so', async (context) => {
      const { win } = race(context);
      const leadership = await win();
      await leadership.resign();
      expect([leadership.isHeld(), leadership.lost.aborted]).toEqual([false, true]);
      await leadership.resign();
    });

    it('that is paused knows that its time is over before another leads', async (context) => {
      const { open, win, won } = race(context);
      let paused = 0;
      const frozen = open();
      // It cannot renew, and the clock continues.
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
      // It waits for its renewal for ever.
      won.splice(won.indexOf(leadership), 1);
    });

    it('that wakes up late does not lead, whatever it was before', async (context) => {
      const { open, win } = race(context);
      let late = 0;
      const leadership = await win(open(), () => performance.now() + late);
      late = TTL;
      expect(leadership.isHeld()).toBe(false);
      late = 0;
      expect(leadership.isHeld()).toBe(false);
    });

    it('stays through a failure of the store that ends in time', async (context) => {
      const { open, win } = race(context);
      const lock = open();
      let failures = 2;
      const renew = async (): Promise<boolean> => {
        if (failures-- > 0) throw new Error('the store is away');
        return lock.renew();
      };
      const leadership = await win({ ...lock, renew });
      await sleep(1.3 * TTL);
      expect([leadership.isHeld(), failures < 0]).toEqual([true, true]);
    });
  });
}
