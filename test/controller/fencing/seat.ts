import type { World } from './world.ts';

/** The seat of the leader: who has it knows by a clock of its own when it may be somebody else's. */
export class SimSeat {
  readonly #world: World;
  readonly ttlMs: number;
  #holder = '';
  #until = 0;

  constructor(world: World, ttlMs: number) {
    this.#world = world;
    this.ttlMs = ttlMs;
  }

  take(who: string): boolean {
    if (this.#holder !== who && this.#world.now < this.#until) return false;
    this.#holder = who;
    this.#until = this.#world.now + this.ttlMs;
    return true;
  }
}
