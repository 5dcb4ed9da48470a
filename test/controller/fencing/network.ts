import type { SimMachine } from './machine.ts';
import type { World } from './world.ts';

/** Carries requests to machines and answers back: late, twice, in another order, or not at all. */
export class Network {
  readonly #world: World;
  /** Pairs that do not hear each other, and until when. */
  readonly #cuts = new Map<string, number>();
  /** Whether anything goes wrong. */
  isCalm: boolean = false;

  constructor(world: World) {
    this.#world = world;
  }

  cut(actor: string, machine: string, ms: number): void {
    this.#cuts.set(`${actor} ${machine}`, this.#world.now + ms);
  }

  heal(): void {
    this.#cuts.clear();
    this.isCalm = true;
  }

  /** `serve` runs on the machine for every copy of the request that arrives; `answered` here for the first answer. */
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
    const healed = this.#cuts.get(`${actor} ${machine}`) ?? 0;
    const wait = Math.max(0, healed - world.now);
    if (this.isCalm) {
      if (wait === 0) world.in(1 + world.upTo(20), arrive);
      return;
    }
    // What is sent into a cut is lost, or lies in a buffer until it is over.
    if (wait > 0 && world.chance(0.5)) return;
    const copies = world.chance(0.05) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const dice = world.random();
      const delay = dice < 0.93 ? world.upTo(60) : dice < 0.98 ? world.upTo(2500) : world.upTo(15_000);
      world.in(wait + delay, arrive);
    }
  }
}
