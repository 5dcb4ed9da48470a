import type { FleetError } from '../base/errors.ts';
import type { UnitOutcome } from '../cluster/failure.ts';
import type { Reason } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  machineNameOf,
  type Token,
  tokenOf,
  type Unreachable,
  type UnreadableUnit,
} from '../cluster/snapshot.ts';
import type { SystemdState } from '../cluster/unit-state.ts';
import type { MachineId } from '../machine/machine.ts';
import type { MachinePlan, Obstacle, Step } from '../plan/step.ts';
import type { VoterChange } from '../quorum/electorate.ts';
import type { FormerRegistry } from '../quorum/eras.ts';
import type { Decision, Stuck } from '../schedule/decision.ts';

/**
 * The progress of a pass as data: names, ids and reasons, without text for people and without texts of unit files. The
 * events of one machine have the order below; machines are handled in parallel. A pass that ends with an error has no
 * `pass-done`. Listings emit the events of their queries.
 */
export type PassEvent =
  | { readonly kind: 'pass-begun'; readonly scope: ReadonlySet<string> | 'everything' }
  | { readonly kind: 'machine-asked'; readonly machine: string }
  | { readonly kind: 'machine-answered'; readonly machine: string; readonly id: MachineId }
  /** `id` is that of its last answer. */
  | {
      readonly kind: 'machine-unreachable';
      readonly machine: string;
      readonly id: MachineId | undefined;
      readonly unreachable: Unreachable;
    }
  | DecidedEvent
  /** All planned changes, by wave. */
  | { readonly kind: 'planned'; readonly waves: readonly (readonly PlannedChanges[])[] }
  /** `wave` counts from 1. A pass without changes has none. */
  | { readonly kind: 'wave-begun'; readonly wave: number; readonly waves: number }
  | ({ readonly kind: 'changes-sent' } & PlannedChanges)
  /**
   * Also for a change that was not sent, because its machine is unreachable or belongs to another cluster. `again`: the
   * same failure as the last time.
   */
  | ({ readonly kind: 'outcome'; readonly again?: boolean } & UnitOutcome)
  /** The voters of a registry on the machines have changed. */
  | ({ readonly kind: 'voters' } & VoterChange)
  /** A machine has changes from before a recovery that the registry may lack. Each revision is reported once. */
  | ({ readonly kind: 'former-registry' } & FormerRegistry)
  | { readonly kind: 'pass-done'; readonly failures: number; readonly ms: number };

/** A stored decision that changes the assignment of a unit. `again`: the same move as the last one, which has failed. */
type DecidedEvent = {
  readonly kind: 'decided';
  readonly again?: boolean;
  readonly unit: string;
  readonly decision: 'place' | 'move' | 'release';
  readonly from: Place | undefined;
  readonly to: Place | undefined;
  /** The reason against the machine that it leaves. */
  readonly because: Reason | undefined;
  readonly token: Token;
};

/** A machine that a unit is on or moves to; `machine` is undefined if it is not in fleet.conf. */
type Place = { readonly id: MachineId; readonly machine: string | undefined };

/** The planned changes on one machine. */
type PlannedChanges = { readonly machine: string; readonly changes: readonly PlannedChange[] };

/** The planned steps of one unit, in order; none if there is an obstacle. */
export type PlannedChange = {
  readonly unit: string;
  readonly token: Token;
  readonly steps: readonly Step['kind'][];
  readonly obstacle: Obstacle | undefined;
  /** The time in which it has to be confirmed (`Confirm=`), in ms. */
  readonly confirmMs?: number | undefined;
};

/** Receives every event immediately, in order. It must be fast, and must not throw. */
export type Emit = (event: PassEvent) => void;

/** Plans without the texts of unit files. */
export function planned({ machine, changes }: MachinePlan): PlannedChanges {
  return {
    machine,
    changes: changes.map((change) => ({
      ...change,
      steps: change.steps.map(({ kind }) => kind),
      confirmMs: change.steps.find((step) => step.kind === 'arm')?.windowMs,
    })),
  };
}

/** The event of a decision; undefined for one that does not change an assignment. */
export function decided(decision: Decision, snapshot: ClusterSnapshot): DecidedEvent | undefined {
  if (decision.kind !== 'place' && decision.kind !== 'move' && decision.kind !== 'release') return undefined;
  const { unit } = decision;
  const place = (id: MachineId | undefined): Place | undefined =>
    id === undefined ? undefined : { id, machine: machineNameOf(id, snapshot) };
  return {
    kind: 'decided',
    unit,
    decision: decision.kind,
    from: place(decision.kind === 'place' ? undefined : decision.from),
    to: place(decision.kind === 'release' ? undefined : decision.machine),
    because: decision.kind === 'move' ? decision.because : undefined,
    token: tokenOf(unit, snapshot),
  };
}

/** The events of a controller besides those of its passes; worded in output/. */
export type Notice =
  /** It is the leader from now on; or another controller is, and it only observes. */
  | { readonly kind: 'leads' }
  | { readonly kind: 'stands-by' }
  /** It cannot stand for election: the registry's store does not answer, or the leader lock cannot be taken. */
  | { readonly kind: 'election-failed'; readonly error: FleetError }
  /** It gives up the lock, so that a working controller can lead. */
  | { readonly kind: 'leadership-given-up'; readonly trouble: string }
  /** Another fleetd of this computer listens there; this one takes over when it ends. */
  | { readonly kind: 'socket-taken'; readonly path: string }
  /** The registry cannot be read, so no decision is possible; or it can be read again. */
  | { readonly kind: 'registry-lost'; readonly error: FleetError }
  | { readonly kind: 'registry-back' }
  | { readonly kind: 'machine-lost'; readonly machine: string; readonly unreachable: Unreachable }
  | { readonly kind: 'machine-back'; readonly machine: string; readonly silentMs: number }
  /** A machine answers, but cannot get a new lease: its fenced units stop with the present one. */
  | { readonly kind: 'lease-refused'; readonly machine: string; readonly error: FleetError }
  /** The state of a unit that fleet wrote has changed; undefined if the unit is gone from the machine. */
  | {
      readonly kind: 'unit-state';
      readonly unit: string;
      readonly machine: string;
      readonly state: Pick<SystemdState, 'load' | 'active' | 'sub'> | undefined;
    }
  /** So many machines are unreachable at once that no unit leaves them; or no longer so many. */
  | { readonly kind: 'cut-off'; readonly unreachable: number; readonly machines: number }
  | { readonly kind: 'connected' }
  /** The process was paused, and measures from now on how long machines are unreachable. */
  | { readonly kind: 'paused'; readonly ms: number }
  /** A unit is unschedulable, or stays on a machine in spite of a violation. */
  | { readonly kind: 'stuck'; readonly decision: Stuck | Extract<Decision, { kind: 'unschedulable' }> }
  /** A unit whose document in the registry cannot be read is left unchanged. */
  | ({ readonly kind: 'unreadable' } & UnreadableUnit)
  /** `again`: with the same error as the last time; `units` is empty if no decision was possible. */
  | {
      readonly kind: 'pass-failed';
      readonly units: readonly string[];
      readonly error: FleetError;
      readonly again: boolean;
    };

/** All events of a controller. */
export type ControllerEvent = PassEvent | Notice;
