import { setTimeout as sleep } from 'node:timers/promises';
import { untilAny, withTimeout } from '../base/async.ts';
import { FleetError } from '../base/errors.ts';
import { formatDuration } from '../base/time.ts';
import type { Token } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';

/** The first wait after a failure, in ms; every further failure doubles it, up to the longest. */
const FIRST_MS = 1_000;
const LONGEST_MS = 300_000;

type Failed = { readonly token: Token | undefined; readonly times: number; readonly until: number };

/**
 * Units that wait after a failure: a unit that cannot start is tried again after 1 s, 2 s, 4 s, … up to 5 min. A new
 * decision about the unit resets its wait.
 */
export class Backoff {
  readonly #failed = new Map<string, Failed>();

  /** `token` is that of the target state; undefined if it is not known. */
  failed(unit: string, token: Token | undefined, now: number): void {
    const before = this.#failed.get(unit);
    const times = before !== undefined && before.token === token ? before.times + 1 : 1;
    this.#failed.set(unit, { token, times, until: now + Math.min(LONGEST_MS, FIRST_MS * 2 ** (times - 1)) });
  }

  succeeded(unit: string): void {
    this.#failed.delete(unit);
  }

  /** Whether `unit` waits at `now`, epoch ms. `token` is that of its present target state. */
  isWaiting(unit: string, token: Token, now: number): boolean {
    const failed = this.#failed.get(unit);
    if (failed === undefined || now >= failed.until) return false;
    return failed.token === undefined || failed.token === token;
  }

  /** When the next wait ends, epoch ms; Infinity if no unit waits. */
  next(now: number): number {
    const later = [...this.#failed.values()].map(({ until }) => until).filter((until) => until > now);
    return Math.min(Number.POSITIVE_INFINITY, ...later);
  }
}

/** How long a sleeper gathers wake-ups that come together, in ms. */
const GATHER_MS = 20;

/** Wakes one sleeper; a wake-up without a sleeper is kept for the next one. */
export class WakeUp {
  #isPending: boolean = false;
  #sleeping = new AbortController();

  request(): void {
    this.#isPending = true;
    this.#sleeping.abort();
  }

  /** Whether there was a request since the last call. */
  take(): boolean {
    const isPending = this.#isPending;
    this.#isPending = false;
    return isPending;
  }

  /** Sleeps for `ms`, or until a request or `signal`. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.#sleeping = new AbortController();
    if (this.#isPending) this.#sleeping.abort();
    const rest = (either: AbortSignal): Promise<void> =>
      sleep(Math.max(0, ms), undefined, { signal: either }).catch(() => undefined);
    await untilAny([signal, this.#sleeping.signal], rest);
    if (this.#isPending) await sleep(GATHER_MS);
  }
}

/** Like `work`, but rejects with `ssh-timeout` if it has not settled in `ms`. */
export function within<T>(ms: number, { name }: Machine, work: Promise<T>): Promise<T> {
  return withTimeout(ms, work, () => {
    throw new FleetError('ssh-timeout', `Machine "${name}" gave no answer in ${formatDuration(ms)}`);
  });
}
