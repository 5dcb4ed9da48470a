import type { Reason, Rejection } from '../cluster/reason.ts';
import type { MachineId } from '../machine/machine.ts';

/** Where one unit goes, and why not elsewhere. */
export type Decision =
  /** A standard unit that was nowhere. */
  | {
      readonly kind: 'place';
      readonly unit: string;
      readonly machine: MachineId;
      readonly rejected: readonly Rejection[];
    }
  /** It stays; `despite` is the rule that speaks against its machine, when nothing better can be done. */
  | {
      readonly kind: 'keep';
      readonly unit: string;
      readonly machine: MachineId;
      readonly violation: Reason | undefined;
    }
  | {
      readonly kind: 'move';
      readonly unit: string;
      readonly from: MachineId;
      readonly machine: MachineId;
      readonly because: Reason;
      readonly rejected: readonly Rejection[];
    }
  /** It is wanted nowhere any more. */
  | { readonly kind: 'release'; readonly unit: string; readonly from: MachineId | undefined }
  /** It is wanted, and no machine fits; `from` is one that it leaves to the unit that replaces it. */
  | {
      readonly kind: 'unschedulable';
      readonly unit: string;
      readonly from?: MachineId;
      readonly rejected: readonly Rejection[];
    }
  /** A global unit, or one that goes where several triggers are: every machine it fits. */
  | {
      readonly kind: 'global';
      readonly unit: string;
      readonly machines: readonly MachineId[];
      readonly rejected: readonly Rejection[];
    };

/** The machines on which a decision wants its unit. */
export function machinesOf(decision: Decision): readonly MachineId[] {
  if (decision.kind === 'global') return decision.machines;
  return 'machine' in decision ? [decision.machine] : [];
}

/** Unit → ids of the machines that shall have it; a unit of `scope` that nothing was decided about is wanted nowhere. */
export function placementsOf(
  decisions: readonly Decision[],
  scope: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const decided = new Map(decisions.map((decision) => [decision.unit, machinesOf(decision)]));
  return new Map([...scope].map((unit) => [unit, decided.get(unit) ?? []]));
}

/** Unit → the machine that it leaves, for each that moves or gives way to another one. */
export function leavingOf(decisions: readonly Decision[]): ReadonlyMap<string, MachineId> {
  return new Map(
    decisions.flatMap((decision) =>
      (decision.kind === 'move' || decision.kind === 'unschedulable') && decision.from !== undefined
        ? [[decision.unit, decision.from] as const]
        : [],
    ),
  );
}
