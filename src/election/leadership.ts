import { setTimeout as sleep } from 'node:timers/promises';
import { CLOCK_DRIFT } from '../base/time.ts';

/**
 * The lock of the only leader. It expires `ttlMs` after it was taken or renewed; then others may take it. Errors are those
 * of its store.
 */
export interface LeaderLock {
  readonly ttlMs: number;
  /** Takes it if it is free: true. */
  take(): Promise<boolean>;
  /** Rejects if it could never be taken, because of missing permissions or a foreign value; changes nothing. */
  probe(): Promise<void>;
  /** Extends it to at least `ttlMs` from this call; false if this process no longer holds it. */
  renew(): Promise<boolean>;
  /** Frees it if this process holds it. */
  leave(): Promise<void>;
  /** Resolves when it may be free, which may be too early, or when `signal` aborts. Never rejects. */
  waitUntilFree(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export type CampaignOptions = {
  /** Ends the campaign, but not the leadership after it. */
  readonly signal: AbortSignal;
  /** Ms since any fixed time, never less than the time that has passed. */
  readonly now?: () => number;
};

/**
 * Waits until this process holds the lock. Resolves with undefined if `signal` aborts first. Rejects if the store of the
 * lock fails; it may be called again then.
 */
export async function campaign(
  lock: LeaderLock,
  { signal, now = elapsed }: CampaignOptions,
): Promise<HeldLeadership | undefined> {
  while (!signal.aborted) {
    const requestedAt = now();
    if (await lock.take()) return new HeldLeadership(lock, requestedAt, now);
    await lock.waitUntilFree(signal);
  }
  return undefined;
}

/**
 * How long a lock is safely held after its request, in ms. It is less than its TTL, because the clocks of other candidates
 * may run faster.
 */
export function safeTime({ ttlMs }: Pick<LeaderLock, 'ttlMs'>): number {
  return ttlMs * (1 - CLOCK_DRIFT);
}

/** The leadership of this process, until it is lost or given up. */
export class HeldLeadership {
  readonly #lock: LeaderLock;
  readonly #now: () => number;
  readonly #lost = new AbortController();
  readonly #watchdog: NodeJS.Timeout;
  readonly #renewals: Promise<void>;
  /** The time of the request for the last successful renewal. */
  #since: number;

  constructor(lock: LeaderLock, since: number, now: () => number) {
    this.#lock = lock;
    this.#since = since;
    this.#now = now;
    this.#watchdog = setInterval(() => this.isHeld(), lock.ttlMs / 10);
    this.#renewals = this.#renew();
  }

  /** Aborts when it is lost or given up, at most a tenth of the TTL later than `isHeld` returns false. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Whether this process holds it now, by the clock: false as soon as another process may hold it. Must be called before
   * every act, because the process may have been paused.
   */
  isHeld(): boolean {
    if (this.#now() - this.#since >= safeTime(this.#lock)) this.#lose();
    return !this.lost.aborted;
  }

  /** Gives it up, so that another process can lead immediately. */
  async resign(): Promise<void> {
    this.#lose();
    await this.#renewals;
    // If it fails, others wait until the lock expires.
    await this.#lock.leave().catch(() => {});
  }

  /** Renews it three times within its TTL, and more often after a failure. */
  async #renew(): Promise<void> {
    let pause = this.#lock.ttlMs / 3;
    while (!this.lost.aborted) {
      await sleep(pause, undefined, { signal: this.lost }).catch(() => {});
      if (!this.isHeld()) return;
      const requestedAt = this.#now();
      const renewed = await this.#lock.renew().catch(() => undefined);
      if (renewed === false) this.#lose();
      if (renewed === true) this.#since = requestedAt;
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
 * The larger of two differences: the monotonic clock stops while a machine is suspended, and the wall clock may be set back.
 * The result is too small only if both happen.
 */
function elapsed(): number {
  return Math.max(performance.now() - started.monotonic, Date.now() - started.wall);
}
