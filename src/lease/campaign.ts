import { setTimeout as sleep } from 'node:timers/promises';
import { CLOCK_DRIFT } from '../base/clock.ts';
import type { Seat } from './seat.ts';

/** Being the leader, until it is lost or given up. */
export interface Leadership {
  /**
   * Whether it is ours now, by the clock and not by what was last heard: false as soon as another may have it. A
   * process that was paused has to ask before it acts.
   */
  isHeld(): boolean;
  /** Aborts when it is lost or given up; later than `isHeld` says no, at most by a tenth of its time. */
  readonly lost: AbortSignal;
  /** Gives it up, so that another can lead at once. */
  resign(): Promise<void>;
}

export type CampaignOptions = {
  /** Ends the campaign; not a leadership that it has won. */
  readonly signal: AbortSignal;
  /** Milliseconds from any moment on, never fewer than have passed. */
  readonly now?: () => number;
};

/**
 * Waits until the seat is ours. Undefined when `signal` aborts first; rejects when the store of the seat fails, and
 * may be called again then.
 */
export async function campaign(
  seat: Seat,
  { signal, now = elapsed }: CampaignOptions,
): Promise<Leadership | undefined> {
  while (!signal.aborted) {
    const asked = now();
    if (await seat.take()) return new Held(seat, asked, now);
    await seat.waitUntilFree(signal);
  }
  return undefined;
}

/**
 * How long a seat may be counted on from when it was asked for, in ms: less than its time, for the clock that gives it to
 * others when that is over may run faster than ours.
 */
export function safeTime({ ttlMs }: Pick<Seat, 'ttlMs'>): number {
  return ttlMs * (1 - CLOCK_DRIFT);
}

class Held implements Leadership {
  readonly #seat: Seat;
  readonly #now: () => number;
  readonly #lost = new AbortController();
  readonly #watchdog: NodeJS.Timeout;
  readonly #renewals: Promise<void>;
  /** When the last renewal that was granted was asked for: the time of the seat cannot have begun before. */
  #since: number;

  constructor(seat: Seat, since: number, now: () => number) {
    this.#seat = seat;
    this.#since = since;
    this.#now = now;
    this.#watchdog = setInterval(() => this.isHeld(), seat.ttlMs / 10);
    this.#renewals = this.#renew();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  isHeld(): boolean {
    if (this.#now() - this.#since >= safeTime(this.#seat)) this.#lose();
    return !this.lost.aborted;
  }

  async resign(): Promise<void> {
    this.#lose();
    await this.#renewals;
    // Should it fail, others wait until the time of the seat is over.
    await this.#seat.leave().catch(() => {});
  }

  /** Three times within its time; after a failure sooner. */
  async #renew(): Promise<void> {
    let pause = this.#seat.ttlMs / 3;
    while (!this.lost.aborted) {
      await sleep(pause, undefined, { signal: this.lost }).catch(() => {});
      if (!this.isHeld()) return;
      const asked = this.#now();
      const renewed = await this.#seat.renew().catch(() => undefined);
      if (renewed === false) this.#lose();
      if (renewed === true) this.#since = asked;
      pause = this.#seat.ttlMs / (renewed === true ? 3 : 10);
    }
  }

  #lose(): void {
    clearInterval(this.#watchdog);
    this.#lost.abort();
  }
}

const started = { monotonic: performance.now(), wall: Date.now() };

/**
 * The monotonic clock stands still while a machine is suspended, and the other one may be set back: the larger of
 * what they say has passed is never too little, unless both happen.
 */
function elapsed(): number {
  return Math.max(performance.now() - started.monotonic, Date.now() - started.wall);
}
