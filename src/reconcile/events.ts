import type { FleetError } from '../base/errors.ts';
import type { UnitOutcome } from '../cluster/failure.ts';
import type { Reason } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  machineNameOf,
  type Token,
  type Unreachable,
  type UnreadableUnit,
} from '../cluster/snapshot.ts';
import type { SystemdState } from '../cluster/unit-state.ts';
import type { MachineId } from '../machine/machine.ts';
import type { MachinePlan, Obstacle, Step } from '../plan/step.ts';
import type { Decision } from '../schedule/decision.ts';

/**
 * What happens in a pass, while it happens: names, ids and reasons, as data. Never words for people,
 * and never the text of a unit file. Events of one machine come in the order below; machines are visited at once.
 * A pass that ends with an error says no `pass-done`. Listings ask machines too, and say so.
 */
export type PassEvent =
  | { readonly kind: 'pass-begun'; readonly scope: ReadonlySet<string> | 'everything' }
  | { readonly kind: 'machine-asked'; readonly machine: string }
  | { readonly kind: 'machine-answered'; readonly machine: string; readonly id: MachineId }
  /** `id` is the one it had when it answered last. */
  | {
      readonly kind: 'machine-silent';
      readonly machine: string;
      readonly id: MachineId | undefined;
      readonly unreachable: Unreachable;
    }
  | DecidedEvent
  /** Everything that is to be done, wave after wave. */
  | { readonly kind: 'planned'; readonly waves: readonly (readonly PlannedChanges[])[] }
  /** `wave` counts from 1. A pass with nothing to do has none. */
  | { readonly kind: 'wave-begun'; readonly wave: number; readonly waves: number }
  | ({ readonly kind: 'changes-sent' } & PlannedChanges)
  /** Also of what could not be tried, because its machine is unreachable or not ours: then nothing was sent before. `again`: as the last time. */
  | ({ readonly kind: 'outcome'; readonly again?: boolean } & UnitOutcome)
  | { readonly kind: 'pass-done'; readonly failures: number; readonly ms: number };

/** A decision that changes where a unit is, stored in the registry. */
type DecidedEvent = {
  readonly kind: 'decided';
  readonly unit: string;
  readonly decision: 'place' | 'move' | 'release';
  readonly from: Place | undefined;
  readonly to: Place | undefined;
  /** What speaks against the machine it leaves. */
  readonly because: Reason | undefined;
  readonly token: Token;
};

/** A machine that a unit is on or goes to; one that has left fleet.conf has no name any more. */
type Place = { readonly id: MachineId; readonly machine: string | undefined };

/** What is to be done on one machine. */
type PlannedChanges = { readonly machine: string; readonly changes: readonly PlannedChange[] };

/** What is to be done with one unit, in order; an obstacle leaves nothing to do. */
export type PlannedChange = {
  readonly unit: string;
  readonly token: Token;
  readonly steps: readonly Step['kind'][];
  readonly obstacle: Obstacle | undefined;
};

/** Gets every event at once, in order. It must be quick, and must not throw. */
export type Emit = (event: PassEvent) => void;

/** Plans without the texts of unit files. */
export function planned({ machine, changes }: MachinePlan): PlannedChanges {
  return {
    machine,
    changes: changes.map((change) => ({ ...change, steps: change.steps.map(({ kind }) => kind) })),
  };
}

/** The event of a decision; undefined for one that leaves its unit where it is, or lets machines have a global one. */
export function decided(decision: Decision, snapshot: ClusterSnapshot): DecidedEvent | undefined {
  if (decision.kind !== 'place' && decision.kind !== 'move' && decision.kind !== 'release') return undefined;
  const { unit } = decision;
  const token = snapshot.units.find(({ name }) => name === unit)?.token ?? snapshot.revision;
  const place = (id: MachineId | undefined): Place | undefined =>
    id === undefined ? undefined : { id, machine: machineNameOf(id, snapshot) };
  return {
    kind: 'decided',
    unit,
    decision: decision.kind,
    from: place(decision.kind === 'place' ? undefined : decision.from),
    to: place(decision.kind === 'release' ? undefined : decision.machine),
    because: decision.kind === 'move' ? decision.because : undefined,
    token,
  };
}

/** What a controller has to say beside the events of its passes; worded in output/. */
export type Notice =
  /** It decides from now on; or another controller does, and it only watches. */
  | { readonly kind: 'leads' }
  | { readonly kind: 'stands-by' }
  /** It cannot stand for election: the registry's store does not answer, or the leader lock cannot be taken. */
  | { readonly kind: 'election-failed'; readonly error: FleetError }
  /** It gives up the lock, so that another one that can work may lead. */
  | { readonly kind: 'leadership-given-up'; readonly trouble: string }
  /** Another fleetd of this box answers there; this one will when that one has ended. */
  | { readonly kind: 'socket-taken'; readonly path: string }
  /** The registry cannot be read, so that nothing can be decided; or it can again. */
  | { readonly kind: 'registry-lost'; readonly error: FleetError }
  | { readonly kind: 'registry-back' }
  | { readonly kind: 'machine-lost'; readonly machine: string; readonly unreachable: Unreachable }
  | { readonly kind: 'machine-back'; readonly machine: string; readonly silentMs: number }
  /** A machine answers, and cannot take a lease: its fenced units end with the one it has. */
  | { readonly kind: 'lease-refused'; readonly machine: string; readonly error: FleetError }
  /** A unit that fleet put on a machine is not as it was seen before; undefined when it is gone from there. */
  | {
      readonly kind: 'unit-state';
      readonly unit: string;
      readonly machine: string;
      readonly state: Pick<SystemdState, 'load' | 'active' | 'sub'> | undefined;
    }
  /** So many machines are unreachable at once that no unit leaves them; or no longer. */
  | { readonly kind: 'cut-off'; readonly unreachable: number; readonly machines: number }
  | { readonly kind: 'connected' }
  /** It did not run for a while, and measures silence from now on. */
  | { readonly kind: 'overslept'; readonly ms: number }
  /** A unit fits nowhere, or stays where it should not be. */
  | { readonly kind: 'stuck'; readonly decision: Extract<Decision, { kind: 'unschedulable' | 'keep' }> }
  /** A unit whose document in the registry cannot be read is left as it is. */
  | ({ readonly kind: 'unreadable' } & UnreadableUnit)
  /** `again`: for the same reason as the last time; `units` is empty where nothing could be decided at all. */
  | {
      readonly kind: 'pass-failed';
      readonly units: readonly string[];
      readonly error: FleetError;
      readonly again: boolean;
    };

/** Everything that happens in a controller. */
export type ControllerEvent = PassEvent | Notice;
