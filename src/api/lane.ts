import { ApiError } from './answer.ts';

/** How many requests are worked on at once, and how many wait. */
const MOST_BUSY = 4;
const MOST_WAITING = 64;

type Waiting = { readonly isGone: () => boolean; readonly begin: () => void; readonly drop: () => void };

/** Works on a few requests at once, in their order, and on none whose client is gone. The event loop turns in between. */
export class Lane {
  readonly #waiting: Waiting[] = [];
  #busy = 0;

  /** The result of `work`; undefined when the client was gone before it began. Throws {@link ApiError} 503. */
  async run<T>(work: () => Promise<T>, isGone: () => boolean): Promise<T | undefined> {
    if (this.#busy >= MOST_BUSY) {
      if (this.#waiting.length >= MOST_WAITING) throw new ApiError(503, 'too many requests are under way');
      const mayBegin = await new Promise<boolean>((resolve) =>
        this.#waiting.push({ isGone, begin: () => resolve(true), drop: () => resolve(false) }),
      );
      if (!mayBegin) return undefined;
    } else this.#busy++;
    try {
      return await work();
    } finally {
      setImmediate(() => this.#next());
    }
  }

  /** Hands the place of a request that is done to the next one. */
  #next(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (!next.isGone()) {
        next.begin();
        return;
      }
      next.drop();
    }
    this.#busy--;
  }
}
