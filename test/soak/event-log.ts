import type { LoggedEvent } from '../../src/cluster/logged-event.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import type { Outcome } from '../e2e/operator.ts';

/** A fault of a machine or a fleetd; `to` is Infinity while it lasts. Epoch ms. */
export type Fault = {
  readonly victim: string;
  readonly kind: MachineFault | ControllerFault;
  readonly from: number;
  to: number;
};
export type MachineFault = 'kill' | 'hang' | 'cut' | 'sshd' | 'reboot' | 'hostile';
export type ControllerFault = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGHUP';

/** The victims that are not machines: the fleetd that was the leader when its fault began, and the other one. */
export const LEADER = 'leader';
export const STANDBY = 'standby';

/** A command of an operator, or a stop by hand on a machine. */
export type Action = {
  readonly words: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly outcome: Outcome | undefined;
};

/** An event of the registry's log; epoch ms. */
export type RegistryEvent = { readonly at: number; readonly event: LoggedEvent };

/** Everything that happened to a cluster. */
export class EventLog {
  /** The `agent_ttl` of the cluster, in ms. */
  readonly ttlMs: number;
  readonly faults: Fault[] = [];
  readonly actions: Action[] = [];
  /** When a fleetd became or ceased to be the leader, epoch ms. A busy box can cause this without a fault. */
  readonly leaderChanges: number[] = [];
  readonly #registryEvents = new Map<string, readonly RegistryEvent[]>();

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs;
  }

  /** Copies the registry's log, which drops old events. Events that are known already are kept once. */
  addRegistryEvents({ events }: RegistryView): void {
    for (const { key, at, events: all } of events) {
      this.#registryEvents.set(
        key,
        all.map((event) => ({ at, event })),
      );
    }
  }

  /** Oldest first. */
  get registryEvents(): readonly RegistryEvent[] {
    return [...this.#registryEvents.values()].flat();
  }

  beginFault(victim: string, kind: Fault['kind']): Fault {
    const fault = { victim, kind, from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.faults.push(fault);
    return fault;
  }

  hasFault(victim: string): boolean {
    return this.faults.some((fault) => fault.victim === victim && !Number.isFinite(fault.to));
  }

  /** The faults of a machine or fleetd that overlap the time between the two. */
  faultsOf(victim: string, from: number, to: number): readonly Fault[] {
    return this.faults.filter((fault) => fault.victim === victim && fault.from <= to && fault.to >= from);
  }
}
