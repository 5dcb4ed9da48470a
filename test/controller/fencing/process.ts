import type { SimCluster } from './cluster.ts';
import type { SimMachine } from './machine.ts';

type Serve<T> = (reply: (answer: T) => void) => void;

/**
 * A process with its own clock. It may pause at any moment, for any time, and then continues with what it had
 * in hand; or it ends, and what it has sent is still under way.
 */
export class SimProcess {
  readonly cluster: SimCluster;
  /** Its place in the network. */
  readonly #place: string;
  readonly #rate: number;
  #pausedUntil = 0;
  #hasEnded: boolean = false;

  constructor(place: string, cluster: SimCluster) {
    this.#place = place;
    this.cluster = cluster;
    this.#rate = cluster.world.clockRate();
  }

  /** Epoch ms by its own clock. */
  get now(): number {
    return 1_000_000 + this.cluster.world.now * this.#rate;
  }

  /** Pauses the process, in ms. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.cluster.world.now + ms);
  }

  end(): void {
    this.#hasEnded = true;
  }

  /** Runs `step` after so many ms of its clock, when it is not paused. */
  in(ms: number, step: () => void): void {
    this.#later(ms / this.#rate, step);
  }

  /** Sends a query to a machine. The answer may never come. */
  ask<T>(machine: SimMachine, serve: Serve<T>, answered: (answer: T) => void): void {
    this.cluster.network.ask(this.#place, machine, serve, (answer: T) => this.in(0, () => answered(answer)));
  }

  /** The answer, or undefined if there is none within `ms`. */
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
    const { world } = this.cluster;
    world.in(ms, () => {
      if (this.#hasEnded) return;
      const left = this.#pausedUntil - world.now;
      if (left > 0) this.#later(left, step);
      else step();
    });
  }
}
