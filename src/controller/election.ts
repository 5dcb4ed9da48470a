import { setTimeout as sleep } from 'node:timers/promises';
import { untilAny } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import { campaign, type HeldLeadership, type LeaderLock } from '../election/leadership.ts';

export type ElectionOptions = {
  readonly lock: LeaderLock;
  /** Called when leadership is won or lost. */
  readonly onChange: () => void;
  /** Called when the leader lock's store fails, once until it is well again. */
  readonly onFailure: (error: FleetError) => void;
  /** What keeps this process from the work of a leader at this moment, and may not keep others from it. */
  readonly trouble: () => string | undefined;
  /** For how long a leader bears that, in ms, until it lets others try. */
  readonly patienceMs: number;
  /** Called when it gives up the leader lock because of that. */
  readonly onYield: (trouble: string) => void;
};

/** How long to wait before standing again after a failure, in ms. */
const RETRY_MS = 1_000;
/** How much longer than the first time a leader bears its trouble at most: others do not seem to do better. */
const MOST_PATIENCE = 64;
/**
 * How long a leader stays away that gave up its lock, in ms, and how long a candidate with trouble lets others go first:
 * others are there at once, and no lease of a machine must end meanwhile.
 */
const AWAY_MS = 1_000;
const HOLD_BACK_MS = 2_000;

/**
 * Campaigns for the leader lock, again and again. A leader that cannot work gives it up from time to time, so that
 * others can try.
 */
export class Election {
  readonly #options: ElectionOptions;
  readonly #lock: LeaderLock;
  #leadership: HeldLeadership | undefined;
  #failure: FleetError | undefined;
  #patience = 1;

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#lock = { ...options.lock, take: () => this.#take() };
  }

  /** Whether this process leads at this moment, by the clock and not by what was heard last. */
  get isWon(): boolean {
    return this.#leadership?.isHeld() ?? false;
  }

  /** Why it cannot stand; undefined when it can. */
  get failure(): FleetError | undefined {
    return this.#failure;
  }

  /** Stands until `signal` is raised; then the leader lock is free for others. */
  async run(signal: AbortSignal): Promise<void> {
    const { onChange, onYield } = this.#options;
    while (!signal.aborted) {
      this.#leadership = await this.#stand(signal);
      if (this.#leadership === undefined) continue;
      onChange();
      const trouble = await this.#lead(this.#leadership, signal);
      await this.#leadership.resign();
      if (trouble !== undefined) onYield(trouble);
      onChange();
      if (trouble !== undefined) await pause(AWAY_MS, signal);
    }
    await this.#lock.close();
  }

  /** Resolves when leadership is over; to the trouble that it is to be given up for, if it is. */
  async #lead({ lost }: HeldLeadership, signal: AbortSignal): Promise<string | undefined> {
    const { trouble, patienceMs } = this.#options;
    let isWell: boolean | undefined;
    let since = 0;
    while (!signal.aborted && !lost.aborted) {
      const now = performance.now();
      const found = trouble();
      if (isWell !== (found === undefined)) [isWell, since] = [found === undefined, now];
      if (found === undefined && now - since >= patienceMs) this.#patience = 1;
      if (found !== undefined && now - since >= patienceMs * this.#patience) {
        this.#patience = Math.min(MOST_PATIENCE, 2 * this.#patience);
        return found;
      }
      await untilAny([signal, lost], (either) => pause(patienceMs / 10, either));
    }
    return undefined;
  }

  async #stand(signal: AbortSignal): Promise<HeldLeadership | undefined> {
    while (!signal.aborted) {
      try {
        await this.#holdBack(signal);
        return await campaign(this.#politely(signal), { signal });
      } catch (error) {
        if (!isFleetError(error)) throw error;
        if (error.message !== this.#failure?.message) this.#options.onFailure(error);
        this.#failure = error;
        await pause(RETRY_MS, signal);
      }
    }
    return undefined;
  }

  /** The lock, for which others go first while there is trouble. */
  #politely(signal: AbortSignal): LeaderLock {
    const waitUntilFree = async (ended: AbortSignal): Promise<void> => {
      await this.#lock.waitUntilFree(ended);
      await this.#holdBack(signal);
    };
    return { ...this.#lock, waitUntilFree };
  }

  async #holdBack(signal: AbortSignal): Promise<void> {
    if (this.#options.trouble() !== undefined) await pause(HOLD_BACK_MS, signal);
  }

  async #take(): Promise<boolean> {
    const took = await this.#options.lock.take();
    this.#failure = undefined;
    return took;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
