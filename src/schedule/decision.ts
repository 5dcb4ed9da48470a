import type { HeldReason, Reason, Rejection } from '../cluster/reason.ts';
import type { MachineId } from '../machine/machine.ts';

/** The placement of one unit, and the reasons against other machines. */
export type Decision =
  /** A standard unit without an assignment gets one. */
  | {
      readonly kind: 'place';
      readonly unit: string;
      readonly machine: MachineId;
      readonly rejected: readonly Rejection[];
    }
  /** It stays. */
  | {
      readonly kind: 'keep';
      readonly unit: string;
      readonly machine: MachineId;
      readonly violation: undefined;
    }
  | Stuck
  | {
      readonly kind: 'move';
      readonly unit: string;
      readonly from: MachineId;
      readonly machine: MachineId;
      readonly because: Reason;
      readonly rejected: readonly Rejection[];
    }
  /** It loses its assignment. */
  | { readonly kind: 'release'; readonly unit: string; readonly from: MachineId | undefined }
  /** No machine is feasible; `from` is the machine that it leaves to the unit that replaces it. */
  | {
      readonly kind: 'unschedulable';
      readonly unit: string;
      readonly from?: MachineId;
      readonly rejected: readonly Rejection[];
    }
  /** A global unit, or one that is placed with several triggers: every feasible machine. */
  | {
      readonly kind: 'global';
      readonly unit: string;
      readonly machines: readonly MachineId[];
      readonly rejected: readonly Rejection[];
    };

/** It stays in spite of a violation on its machine, because of `stays`. */
export type Stuck = {
  readonly kind: 'keep';
  readonly unit: string;
  readonly machine: MachineId;
  readonly violation: Reason;
  readonly stays: Stay;
};

/** Why a unit does not leave its machine. */
export type Stay =
  /** The machine may come back within the agent TTL. */
  | { readonly code: 'may-return' }
  /** The machine is up, and may run it. */
  | { readonly code: 'is-up' }
  /** So many machines are unreachable that the observer counts as cut off. */
  | { readonly code: 'cut-off' }
  /** No other machine is feasible. */
  | { readonly code: 'no-other' }
  /** No other machine is feasible, because its text is held and there is no older one. */
  | HeldReason;

export function isStuck(decision: Decision): decision is Stuck {
  return decision.kind === 'keep' && decision.violation !== undefined;
}

/** The machines that shall have the unit of a decision. */
export function machinesOf(decision: Decision): readonly MachineId[] {
  if (decision.kind === 'global') return decision.machines;
  return 'machine' in decision ? [decision.machine] : [];
}

/** Unit → ids of the machines that shall have it; none for a unit of `scope` without a decision. */
export function placementsOf(
  decisions: readonly Decision[],
  scope: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const decided = new Map(decisions.map((decision) => [decision.unit, machinesOf(decision)]));
  return new Map([...scope].map((unit) => [unit, decided.get(unit) ?? []]));
}

/** Global unit → the names of the machines that should have it and do not answer. */
export function unseenOf(decisions: readonly Decision[]): ReadonlyMap<string, readonly string[]> {
  return new Map(
    decisions.flatMap((decision) => {
      if (decision.kind !== 'global') return [];
      const unreachable = decision.rejected.filter(({ reason }) => reason.code === 'machine-silent');
      return [[decision.unit, unreachable.map(({ machine }) => machine)] as const];
    }),
  );
}

/** Unit → the machine that it leaves, for units that move or are replaced. */
export function leavingOf(decisions: readonly Decision[]): ReadonlyMap<string, MachineId> {
  return new Map(
    decisions.flatMap((decision) =>
      (decision.kind === 'move' || decision.kind === 'unschedulable') && decision.from !== undefined
        ? [[decision.unit, decision.from] as const]
        : [],
    ),
  );
}
