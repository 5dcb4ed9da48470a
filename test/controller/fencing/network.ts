import type { SimMachine } from './machine.ts';
import type { World } from './world.ts';

/** Delivers requests to machines, and answers: late, twice, in another order, or not at all. */
export class Network {
  readonly #world: World;
  /** Pairs that cannot reach each other, and until when. */
  readonly #cuts = new Map<string, number>();
  /** The latency of most messages, in ms. */
  readonly #lagMs: number;
  /** The share of messages that take longer, by pair. */
  readonly #late = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
    this.#lagMs = world.chance(0.6) ? 2 : 60;
  }

  /** The duration of a message that is delivered, in ms. */
  lag(): number {
    return this.#world.upTo(this.#lagMs);
  }

  cut(actor: string, machine: string, ms: number): void {
    this.#cuts.set(`${actor} ${machine}`, this.#world.now + ms);
  }

  /** Ends all cuts. */
  reconnectAll(): void {
    this.#cuts.clear();
  }

  /** Ends all cuts and all faults. */
  heal(): void {
    this.reconnectAll();
    this.#world.isCalm = true;
  }

  /** `serve` runs on the machine for every copy of the request that arrives; `answered` runs here for the first answer. */
  ask<T>(
    actor: string,
    machine: SimMachine,
    serve: (reply: (answer: T) => void) => void,
    answered: (answer: T) => void,
  ): void {
    let isAnswered = false;
    const back = (answer: T): void =>
      this.#carry(actor, machine.name, () => {
        if (!isAnswered) answered(answer);
        isAnswered = true;
      });
    this.#carry(actor, machine.name, () => machine.isOn && serve(back));
  }

  #carry(actor: string, machine: string, arrive: () => void): void {
    const world = this.#world;
    const pair = `${actor} ${machine}`;
    const healed = this.#cuts.get(pair) ?? 0;
    const wait = Math.max(0, healed - world.now);
    if (world.isCalm) {
      if (wait === 0) world.in(this.lag(), arrive);
      return;
    }
    // A message into a cut is lost, or TCP sends it again after pauses that double, so up to twice the length of the cut.
    if (wait > 0 && world.chance(0.5)) return;
    const copies = world.chance(0.05) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const late = world.chance(0.2) ? 15_000 : 2000;
      const delay = world.chance(this.#lateOf(pair)) ? world.upTo(late) : this.lag();
      world.in(wait + world.upTo(wait) + delay, arrive);
    }
  }

  #lateOf(pair: string): number {
    const late = this.#late.get(pair) ?? (this.#world.chance(0.25) ? 0.4 : 0.03);
    this.#late.set(pair, late);
    return late;
  }
}
