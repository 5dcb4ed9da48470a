import type { House } from './house.ts';
import type { SimMachine } from './machine.ts';

type Serve<T> = (reply: (answer: T) => void) => void;

/**
 * A process with its own clock. It may pause at any moment, for any time, and then continues with what it had
 * in hand; or it ends, and what it has sent is still under way.
 */
export class SimProcess {
  readonly house: House;
  /** Where it runs: what it shares a network with. */
  readonly #place: string;
  readonly #rate: number;
  #pausedUntil = 0;
  #hasEnded: boolean = false;

  constructor(place: string, house: House) {
    this.#place = place;
    this.house = house;
    this.#rate = house.world.clockRate();
  }

  /** Epoch ms by its own clock. */
  get now(): number {
    return 1_000_000 + this.house.world.now * this.#rate;
  }

  /** Pauses for so many ms. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.house.world.now + ms);
  }

  end(): void {
    this.#hasEnded = true;
  }

  /** Has `step` happen when so many ms have passed by its own clock and it is awake. */
  in(ms: number, step: () => void): void {
    this.#later(ms / this.#rate, step);
  }

  /** Asks a machine. The answer may never come. */
  ask<T>(machine: SimMachine, serve: Serve<T>, answered: (answer: T) => void): void {
    this.house.network.ask(this.#place, machine, serve, (answer: T) => this.in(0, () => answered(answer)));
  }

  /** An answer, or undefined when none has come within `ms`. */
  askWithin<T>(
    ms: number,
    machine: SimMachine,
    serve: Serve<T>,
    done: (answer: T | undefined) => void,
  ): void {
    let isOver = false;
    const end = (answer: T | undefined): void => {
      if (!isOver) done(answer);
      isOver = true;
    };
    this.in(ms, () => end(undefined));
    this.ask<T>(machine, serve, end);
  }

  #later(ms: number, step: () => void): void {
    const { world } = this.house;
    world.in(ms, () => {
      if (this.#hasEnded) return;
      const left = this.#pausedUntil - world.now;
      if (left > 0) this.#later(left, step);
      else step();
    });
  }
}
