import type { LoggedEvent } from '../../src/cluster/logged-event.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import type { Outcome } from '../e2e/operator.ts';

/** What a machine, or a fleetd, goes through; `to` is Infinity while it lasts. Epoch ms. */
export type Trouble = {
  readonly victim: string;
  readonly kind: TroubleKind | ControllerTroubleKind;
  readonly from: number;
  to: number;
};
export type TroubleKind = 'kill' | 'hang' | 'cut' | 'sshd' | 'reboot' | 'hostile';
export type ControllerTroubleKind = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGHUP';

/** The victims that are no machines: the fleetd that led when its trouble began, and the other. */
export const LEADER = 'leader';
export const STANDBY = 'standby';

/** A command of the operator, or what somebody did by hand on a machine. */
export type Deed = {
  readonly words: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly outcome: Outcome | undefined;
};

/** One thing that the log of the registry tells; epoch ms. */
export type Told = { readonly at: number; readonly event: LoggedEvent };

/** Everything that was done to a cluster, and what it said about it. */
export class Chronicle {
  /** How long a lease lasts, in ms: the `agent_ttl` of the cluster. */
  readonly ttlMs: number;
  readonly troubles: Trouble[] = [];
  readonly deeds: Deed[] = [];
  /** When a fleetd began to lead, or ceased to: on a box that is busy, without trouble. Epoch ms. */
  readonly reigns: number[] = [];
  readonly #told = new Map<string, readonly Told[]>();

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs;
  }

  /** Adds what the log of the registry tells now, of which some may be known already: it forgets what is old. */
  tell({ events }: RegistryView): void {
    for (const { key, at, events: all } of events) {
      this.#told.set(
        key,
        all.map((event) => ({ at, event })),
      );
    }
  }

  /** Oldest first. */
  get told(): readonly Told[] {
    return [...this.#told.values()].flat();
  }

  begin(victim: string, kind: Trouble['kind']): Trouble {
    const trouble = { victim, kind, from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.troubles.push(trouble);
    return trouble;
  }

  isInTrouble(victim: string): boolean {
    return this.troubles.some((trouble) => trouble.victim === victim && !Number.isFinite(trouble.to));
  }

  /** The troubles that a machine, or fleetd, was in at some moment between the two. */
  troublesOf(victim: string, from: number, to: number): readonly Trouble[] {
    return this.troubles.filter(
      (trouble) => trouble.victim === victim && trouble.from <= to && trouble.to >= from,
    );
  }
}
