import type { Token } from '../cluster/snapshot.ts';

/** The first wait after a failure, in ms; every further failure doubles it, up to the longest. */
const FIRST_MS = 1_000;
const LONGEST_MS = 300_000;

type Failed = { readonly token: Token | undefined; readonly times: number; readonly until: number };

/**
 * Which units are left alone for a while, because something about them failed: a unit that cannot start is tried
 * again after 1 s, 2 s, 4 s, … up to 5 min. A new decision about it starts from the beginning.
 */
export class Backoff {
  readonly #failed = new Map<string, Failed>();

  /** `token` is that of what was wanted of the unit; undefined when not even that could be found out. */
  failed(unit: string, token: Token | undefined, now: number): void {
    const before = this.#failed.get(unit);
    const times = before !== undefined && before.token === token ? before.times + 1 : 1;
    this.#failed.set(unit, { token, times, until: now + Math.min(LONGEST_MS, FIRST_MS * 2 ** (times - 1)) });
  }

  succeeded(unit: string): void {
    this.#failed.delete(unit);
  }

  /** Whether nothing is to be done about `unit` at `now`, epoch ms. `token` is that of what is wanted of it now. */
  holds(unit: string, token: Token, now: number): boolean {
    const failed = this.#failed.get(unit);
    if (failed === undefined || now >= failed.until) return false;
    return failed.token === undefined || failed.token === token;
  }

  /** When the next unit may be tried again, epoch ms; Infinity when none waits. */
  next(now: number): number {
    const later = [...this.#failed.values()].map(({ until }) => until).filter((until) => until > now);
    return Math.min(Number.POSITIVE_INFINITY, ...later);
  }
}
