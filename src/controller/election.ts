import { setTimeout as sleep } from 'node:timers/promises';
import { untilAny } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import { campaign, type HeldLeadership, type LeaderLock } from '../election/leadership.ts';

export type ElectionOptions = {
  readonly lock: LeaderLock;
  /** Called when leadership is won or lost. */
  readonly onChange: () => void;
  /** Called once per failure of the store of the leader lock. */
  readonly onFailure: (error: FleetError) => void;
  /** A problem of this process that other processes may not have; undefined for none. */
  readonly trouble: () => string | undefined;
  /** How long a leader keeps the lock despite such a problem, in ms. */
  readonly patienceMs: number;
  /** Called when it gives up the lock because of that. */
  readonly onYield: (trouble: string) => void;
};

/** The pause after a failure, in ms. */
const RETRY_MS = 1_000;
/** The longest patience, as a multiple of the first one: other candidates do not seem to do better. */
const MOST_PATIENCE = 64;
/**
 * How long a leader that gave up the lock stays away, in ms, and how long a candidate with a problem waits for others. Others
 * take the lock at once, and no lease of a machine may end in the meantime.
 */
const AWAY_MS = 1_000;
const HOLD_BACK_MS = 2_000;

/**
 * Campaigns for the leader lock; the other controllers of the cluster are standbys. A leader that cannot work gives up the lock
 * from time to time.
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

  /** Whether this process leads now, by its clock. */
  get isWon(): boolean {
    return this.#leadership?.isHeld() ?? false;
  }

  /** Why it cannot campaign; undefined when it can. */
  get failure(): FleetError | undefined {
    return this.#failure;
  }

  /** Campaigns until `signal` is raised; then the lock is free. */
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

  /** Resolves when leadership is over, with the problem that it is given up for, if any. */
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

  /** The lock, for which a candidate with a problem lets others go first. */
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
