import { shared, withTimeout } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import type { Emit } from '../reconcile/events.ts';
import { comparedRegistry, refuseDoubtful } from '../reconcile/outdated.ts';
import type { PassRequest, ReconcileReport } from '../reconcile/pass.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { ApiError } from './call.ts';

/** A controller, which watches every machine. */
export interface Watcher {
  /** Undefined before every machine was observed once. */
  readonly snapshot: ClusterSnapshot | undefined;
  /** The same with this view of the registry. */
  snapshotWith(registry: RegistryView): ClusterSnapshot | undefined;
  /** Epoch ms of the oldest observation in it. */
  readonly seenAt: number;
  /** Whether its loop has run recently. */
  readonly isAwake: boolean;
  /** The problems that keep it from its work, one line each. */
  readonly troubles: readonly { readonly message: string; readonly isWarning?: boolean }[];
  /** Observes every machine again, and waits for those that were reachable the last time. */
  observe(): Promise<void>;
  /** Lets a client have a pass; undefined if this controller cannot run it. */
  takeTurn(): Turn | undefined;
}

/** A pass that a client announces, asks for at most once, and ends. */
export type Turn = {
  run(request: PassRequest, emit: Emit, signal: AbortSignal): Promise<ReconcileReport>;
  end(): void;
};

/** The problems that keep a controller from its work, and those of single machines; one line each. */
export type Health = { readonly reasons: readonly string[]; readonly warnings: readonly string[] };

export type ClusterOptions = {
  readonly registry: Registry;
  readonly watcher: Watcher;
  /** Names the registry and the machines, for clients that look for the controller of theirs. */
  readonly origin: string;
  readonly clock: Clock;
  readonly leads: () => boolean;
  /** Why it cannot stand for election; undefined when it can. */
  readonly electionError?: () => FleetError | undefined;
};

/** How long after a change of the registry the machines are observed before an answer, in ms. */
const FOLLOWS_MS = 10_000;
/** How long such an answer waits for machines, in ms: systemd may be busy, for example while it executes itself. */
const SETTLE_LIMIT_MS = 5_000;

/** The cluster in answers: the registry as it is now, and the last observations of machines. */
export class Cluster {
  /** Stores nothing while a machine has seen a newer decision than the registry has made. */
  readonly registry: Registry;
  readonly watcher: Watcher;
  readonly origin: string;
  readonly #options: ClusterOptions;
  #view: RegistryView | undefined;
  #changedAt = 0;

  constructor(options: ClusterOptions) {
    this.registry = comparedRegistry(
      options.registry,
      () => observed(this.watcher.snapshot).machines,
      refuseDoubtful,
    );
    this.watcher = options.watcher;
    this.origin = options.origin;
    this.#options = options;
  }

  /** Whether this controller is the leader. */
  get leads(): boolean {
    return this.#options.leads();
  }

  get now(): number {
    return this.#options.clock.now();
  }

  /** The latest snapshot; throws {@link ApiError} 503 before there is one. */
  readonly snapshot: () => Promise<ClusterSnapshot> = shared(() => this.#snapshot());

  /** The same, after recent changes of the registry have been carried out, which takes a while. */
  readonly settledSnapshot: () => Promise<ClusterSnapshot> = shared(() => this.#settledSnapshot());

  readonly health: () => Promise<Health> = shared(() => this.#health());

  async #snapshot(): Promise<ClusterSnapshot> {
    const view = await this.#load();
    return observed(this.watcher.snapshotWith(view));
  }

  async #settledSnapshot(): Promise<ClusterSnapshot> {
    await this.#load();
    if (this.now - this.#changedAt < FOLLOWS_MS && this.watcher.snapshot !== undefined) {
      await withTimeout(SETTLE_LIMIT_MS, this.watcher.observe(), () => undefined);
    }
    return this.snapshot();
  }

  async #health(): Promise<Health> {
    const { watcher } = this;
    const electionError = this.#options.electionError?.();
    const lines = (isWarning: boolean): string[] =>
      watcher.troubles
        .filter((trouble) => (trouble.isWarning ?? false) === isWarning)
        .map(({ message }) => message);
    const reasons = lines(false);
    if (!watcher.isAwake) reasons.push('the control loop hangs');
    if (electionError !== undefined) reasons.push(`cannot stand for election: ${electionError.message}`);
    try {
      await this.registry.load();
      if (watcher.snapshot === undefined) reasons.push('not every machine has been observed yet');
    } catch (error) {
      if (!isFleetError(error)) throw error;
      if (!reasons.some((reason) => reason.includes(error.message))) reasons.push(error.message);
    }
    return { reasons, warnings: lines(true) };
  }

  /** Unit files are parsed once per revision. */
  async #load(): Promise<RegistryView> {
    const view = await this.registry.load();
    if (this.#view?.revision === view.revision) return this.#view;
    this.#view = view;
    this.#changedAt = this.now;
    return view;
  }
}

/** Throws {@link ApiError} 503 before every machine was observed once. */
function observed(snapshot: ClusterSnapshot | undefined): ClusterSnapshot {
  if (snapshot === undefined) throw new ApiError(503, 'fleetd has not observed every machine yet');
  return snapshot;
}
