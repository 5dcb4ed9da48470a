import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilAny } from '../base/abort.ts';
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
      await untilAny([signal, this.#leadership.lost], raised);
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

/** Resolves when the signal is raised. */
async function raised(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
