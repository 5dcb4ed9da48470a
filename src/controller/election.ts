import { setTimeout as sleep } from 'node:timers/promises';
import { type FleetError, isFleetError } from '../base/errors.ts';
import { campaign, type Leadership } from '../lease/campaign.ts';
import type { Seat } from '../lease/seat.ts';

export type ElectionOptions = {
  readonly seat: Seat;
  /** Called when leadership is won or lost. */
  readonly onChange: () => void;
  /** Called when the seat's store fails, once until it is well again. */
  readonly onFailure: (error: FleetError) => void;
};

/** How long to wait before standing again after a failure, in ms. */
const RETRY_MS = 1_000;

/** Stands for the one seat of leader, again and again: the others of a cluster stand by meanwhile. */
export class Election {
  readonly #options: ElectionOptions;
  #leadership: Leadership | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
  }

  /** Whether this process leads at this moment, by the clock and not by what was heard last. */
  get isWon(): boolean {
    return this.#leadership?.isHeld() ?? false;
  }

  /** Stands until `signal` is raised; then the seat is free for others. */
  async run(signal: AbortSignal): Promise<void> {
    const { seat, onChange } = this.#options;
    while (!signal.aborted) {
      this.#leadership = await this.#stand(signal);
      if (this.#leadership === undefined) continue;
      onChange();
      await untilRaised(signal, this.#leadership.lost);
      await this.#leadership.resign();
      onChange();
    }
    await seat.close();
  }

  async #stand(signal: AbortSignal): Promise<Leadership | undefined> {
    let told = false;
    while (!signal.aborted) {
      try {
        return await campaign(this.#options.seat, { signal });
      } catch (error) {
        if (!isFleetError(error)) throw error;
        if (!told) this.#options.onFailure(error);
        told = true;
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    return undefined;
  }
}

/** Resolves when one of the two signals is raised. */
async function untilRaised(a: AbortSignal, b: AbortSignal): Promise<void> {
  if (a.aborted || b.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      a.removeEventListener('abort', end);
      b.removeEventListener('abort', end);
      resolve();
    };
    a.addEventListener('abort', end);
    b.addEventListener('abort', end);
  });
}
