import { setTimeout as sleep } from 'node:timers/promises';
import { CLOCK_DRIFT } from '../base/time.ts';

/**
 * The lock of the one leader. Its holder has it for `ttlMs`, and again from each renewal; then others may take it.
 * Errors are those of the store that keeps it.
 */
export interface LeaderLock {
  readonly ttlMs: number;
  /** Takes it if it is free: true. */
  take(): Promise<boolean>;
  /** Rejects if it could never be taken, because rights are missing or something else is in its place; changes nothing. */
  probe(): Promise<void>;
  /** Keeps it for another `ttlMs` from this call on, or later; false when it is no longer ours. */
  renew(): Promise<boolean>;
  /** Frees it if it is ours. */
  leave(): Promise<void>;
  /** Resolves when it may be free, which may be too early, or when `signal` aborts. Never rejects. */
  waitUntilFree(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export type CampaignOptions = {
  /** Ends the campaign; not a leadership that it has won. */
  readonly signal: AbortSignal;
  /** Milliseconds from any moment on, never fewer than have passed. */
  readonly now?: () => number;
};

/**
 * Waits until the lock is ours. Undefined when `signal` aborts first; rejects when the store of the lock fails, and
 * may be called again then.
 */
export async function campaign(
  lock: LeaderLock,
  { signal, now = elapsed }: CampaignOptions,
): Promise<HeldLeadership | undefined> {
  while (!signal.aborted) {
    const asked = now();
    if (await lock.take()) return new HeldLeadership(lock, asked, now);
    await lock.waitUntilFree(signal);
  }
  return undefined;
}

/**
 * How long a lock is safely ours from when it was asked for, in ms: less than its time, because the clock by which others
 * get it may run faster than ours.
 */
export function safeTime({ ttlMs }: Pick<LeaderLock, 'ttlMs'>): number {
  return ttlMs * (1 - CLOCK_DRIFT);
}

/** Being the leader, until it is lost or given up. */
export class HeldLeadership {
  readonly #lock: LeaderLock;
  readonly #now: () => number;
  readonly #lost = new AbortController();
  readonly #watchdog: NodeJS.Timeout;
  readonly #renewals: Promise<void>;
  /** When the last renewal that was granted was asked for: the time of the lock cannot have begun before. */
  #since: number;

  constructor(lock: LeaderLock, since: number, now: () => number) {
    this.#lock = lock;
    this.#since = since;
    this.#now = now;
    this.#watchdog = setInterval(() => this.isHeld(), lock.ttlMs / 10);
    this.#renewals = this.#renew();
  }

  /** Aborts when it is lost or given up; later than `isHeld` says no, at most by a tenth of its time. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Whether it is ours now, by the clock and not by the last answer: false as soon as another may have it. A process
   * that was paused has to ask before it acts.
   */
  isHeld(): boolean {
    if (this.#now() - this.#since >= safeTime(this.#lock)) this.#lose();
    return !this.lost.aborted;
  }

  /** Gives it up, so that another can lead at once. */
  async resign(): Promise<void> {
    this.#lose();
    await this.#renewals;
    // If it fails, others wait until the time of the lock is over.
    await this.#lock.leave().catch(() => {});
  }

  /** Three times within its time; after a failure sooner. */
  async #renew(): Promise<void> {
    let pause = this.#lock.ttlMs / 3;
    while (!this.lost.aborted) {
      await sleep(pause, undefined, { signal: this.lost }).catch(() => {});
      if (!this.isHeld()) return;
      const asked = this.#now();
      const renewed = await this.#lock.renew().catch(() => undefined);
      if (renewed === false) this.#lose();
      if (renewed === true) this.#since = asked;
      pause = this.#lock.ttlMs / (renewed === true ? 3 : 10);
    }
  }

  #lose(): void {
    clearInterval(this.#watchdog);
    this.#lost.abort();
  }
}

const started = { monotonic: performance.now(), wall: Date.now() };

/**
 * The monotonic clock stops while a machine is suspended, and the wall clock may be set back: the larger of the
 * two differences is never too little, unless both happen.
 */
function elapsed(): number {
  return Math.max(performance.now() - started.monotonic, Date.now() - started.wall);
}
