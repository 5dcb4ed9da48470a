import { setTimeout as sleep } from 'node:timers/promises';
import { shared } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { comparedRegistry, refuseDoubtful } from '../reconcile/outdated.ts';
import { snapshotOf } from '../reconcile/reconcile.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { ApiError } from './answer.ts';

/** A controller, which watches every machine. */
export interface Watcher {
  /** Undefined before every machine was asked once. */
  readonly snapshot: ClusterSnapshot | undefined;
  /** Epoch ms of the oldest answer in it. */
  readonly seenAt: number;
  /** Whether its loop has turned lately. */
  readonly isAwake: boolean;
  /** What keeps it from its work, in one line each. */
  readonly troubles: readonly { readonly message: string; readonly isWarning?: boolean }[];
  /** Asks every machine again, and waits for those that answered the last time. */
  look(): Promise<void>;
}

/** In one line each: what keeps a controller from its work, and what is wrong with single machines. */
export type Health = { readonly reasons: readonly string[]; readonly warnings: readonly string[] };

export type ClusterOptions = {
  readonly registry: Registry;
  readonly watcher: Watcher;
  readonly origin: string;
  readonly clock: Clock;
  readonly leads: () => boolean;
  /** Why it cannot stand for election; undefined when it can. */
  readonly electionError?: () => FleetError | undefined;
};

/** What machines do follows a change of the registry; for so many ms after one, they are asked before an answer. */
const FOLLOWS_MS = 10_000;
/** How long such an answer waits for machines, in ms: systemd may be busy, as while it executes itself. */
const PATIENCE_MS = 5_000;

/** The cluster as answers tell it: what is wanted, as the registry has it now, and machines as they were seen last. */
export class Cluster {
  /** Stores nothing while machines have seen newer decisions than it has made. */
  readonly registry: Registry;
  readonly watcher: Watcher;
  /** Names the registry and the machines, for those who look for a controller of theirs. */
  readonly origin: string;
  readonly #clock: Clock;
  readonly #leads: () => boolean;
  readonly #electionError: () => FleetError | undefined;
  #view: RegistryView | undefined;
  #changedAt = 0;

  constructor({ registry, watcher, origin, clock, leads, electionError }: ClusterOptions) {
    this.registry = comparedRegistry(registry, () => this.#seen().machines, refuseDoubtful);
    this.watcher = watcher;
    this.origin = origin;
    this.#clock = clock;
    this.#leads = leads;
    this.#electionError = electionError ?? (() => undefined);
  }

  /** Whether the controller decides at this moment, or another one does. */
  get leads(): boolean {
    return this.#leads();
  }

  /** Why the controller cannot stand for election; undefined when it can. */
  get electionError(): FleetError | undefined {
    return this.#electionError();
  }

  get now(): number {
    return this.#clock.now();
  }

  /** What was wanted at the last answer and what was seen; throws {@link ApiError} 503 as long as nothing was. */
  readonly snapshot: () => Promise<ClusterSnapshot> = shared(() => this.#snapshot());

  /** The same, after what was just changed through the registry is done; that takes a while. */
  readonly settledSnapshot: () => Promise<ClusterSnapshot> = shared(() => this.#settledSnapshot());

  /** What keeps the controller from its work. */
  readonly health: () => Promise<Health> = shared(() => this.#health());

  async #snapshot(): Promise<ClusterSnapshot> {
    const view = await this.#load();
    const { leases, machines, ...rest } = this.#seen();
    return snapshotOf({ ...rest, clock: this.#clock, leases: () => leases }, view, machines);
  }

  async #settledSnapshot(): Promise<ClusterSnapshot> {
    await this.#load();
    if (this.now - this.#changedAt < FOLLOWS_MS && this.watcher.snapshot !== undefined) {
      const patience = new AbortController();
      const late = sleep(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined);
      await Promise.race([this.watcher.look(), late]);
      patience.abort();
    }
    return this.snapshot();
  }

  async #health(): Promise<Health> {
    const { watcher, electionError } = this;
    const { troubles } = watcher;
    const lines = (isWarning: boolean): string[] =>
      troubles.filter((trouble) => (trouble.isWarning ?? false) === isWarning).map(({ message }) => message);
    const reasons = lines(false);
    if (!watcher.isAwake) reasons.push('the loop does not turn');
    if (electionError !== undefined) reasons.push(`cannot stand for election: ${electionError.message}`);
    try {
      await this.registry.load();
      if (watcher.snapshot === undefined) reasons.push('not every machine was asked yet');
    } catch (error) {
      if (!isFleetError(error)) throw error;
      if (!reasons.some((reason) => reason.includes(error.message))) reasons.push(error.message);
    }
    return { reasons, warnings: lines(true) };
  }

  #seen(): ClusterSnapshot {
    const { snapshot } = this.watcher;
    if (snapshot === undefined) throw new ApiError(503, 'fleetd has not asked every machine yet');
    return snapshot;
  }

  /** Units are read from their texts once a revision. */
  async #load(): Promise<RegistryView> {
    const view = await this.registry.load();
    if (this.#view?.revision === view.revision) return this.#view;
    this.#view = view;
    this.#changedAt = this.now;
    return view;
  }
}
