import { setTimeout as sleep } from 'node:timers/promises';
import { untilAny } from '../base/async.ts';

/** After a ring, so many ms pass before anybody wakes: what happens together is looked at together. */
const GATHER_MS = 20;

/** Wakes one sleeper when something has happened; a ring without a sleeper is kept for the next one. */
export class Alarm {
  #rang: boolean = false;
  #sleeping = new AbortController();

  ring(): void {
    this.#rang = true;
    this.#sleeping.abort();
  }

  /** Whether it rang since it was asked last. */
  takeRing(): boolean {
    const rang = this.#rang;
    this.#rang = false;
    return rang;
  }

  /** Sleeps for `ms`, or until a ring or `signal`. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.#sleeping = new AbortController();
    if (this.#rang) this.#sleeping.abort();
    const rest = (either: AbortSignal): Promise<void> =>
      sleep(Math.max(0, ms), undefined, { signal: either }).catch(() => undefined);
    await untilAny([signal, this.#sleeping.signal], rest);
    if (this.#rang) await sleep(GATHER_MS);
  }
}
