import type { UnitOutcome } from '../cluster/failure.ts';
import type { Reason } from '../cluster/reason.ts';
import { type ClusterSnapshot, machineNameOf, type Token, type Unreachable } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine-id.ts';
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
