import type { World } from './world.ts';

/** The leader lock, with its own clock; its holder must know before others when it expires. */
export class SimLeaderLock {
  readonly ttlMs: number;
  readonly #world: World;
  readonly #rate: number;
  #holder: object | undefined;
  #until = 0;

  constructor(world: World, ttlMs: number) {
    this.#world = world;
    this.#rate = world.clockRate();
    this.ttlMs = ttlMs;
  }

  take(who: object): boolean {
    const now = this.#world.now * this.#rate;
    if (this.#holder !== who && now < this.#until) return false;
    this.#holder = who;
    this.#until = now + this.ttlMs;
    return true;
  }

  /** It is free at once: its holder has ended, and that was noticed. */
  leave(who: object): void {
    if (this.#holder === who) this.#until = 0;
  }
}
