import type { MachineId } from '../machine/machine.ts';
import type { Dependency } from '../unit/dependencies.ts';
import type { Held } from './snapshot.ts';

/** The reason why a unit cannot be, or cannot stay, on a machine. Created by the rule that decides, worded in output/. */
export type Reason =
  | { readonly code: 'machine-id'; readonly wanted: MachineId }
  | {
      readonly code: 'machine-metadata';
      readonly key: string;
      readonly wanted: readonly string[];
      readonly actual: string | undefined;
    }
  | { readonly code: 'machine-of-elsewhere'; readonly unit: string; readonly machine: string }
  | { readonly code: 'machine-of-nowhere'; readonly unit: string }
  | {
      readonly code: 'conflict';
      readonly unit: string;
      readonly pattern: string;
      /** Which of the two names the other in Conflicts=. */
      readonly declaredBy: 'this' | 'other';
      readonly global: boolean;
    }
  /** `Conflicts=` of `[Unit]`: systemd stops one of the two when it starts the other. */
  | { readonly code: 'unit-conflict'; readonly tie: Tie }
  /** A timer, socket, path or automount must be on the machine of the unit that it starts. */
  | { readonly code: 'triggers-elsewhere'; readonly unit: string; readonly machine: string }
  /** The unit that it starts, which must be on the same machine, does not fit there. */
  | { readonly code: 'triggered-unit'; readonly unit: string; readonly reason: Reason }
  /** The timer, socket, path or automount that starts it is elsewhere; `machine` is undefined for several or none. */
  | { readonly code: 'triggered-elsewhere'; readonly trigger: string; readonly machine: string | undefined }
  /** A template that no loaded or launched socket needs. */
  | { readonly code: 'not-triggered' }
  /** A unit whose Replaces= names it is there. */
  | { readonly code: 'replaced'; readonly unit: string }
  /** The machine has a unit of that name that fleet did not write. */
  | { readonly code: 'foreign-unit'; readonly path: string }
  | { readonly code: 'other-cluster'; readonly cluster: string }
  /** The machine is unreachable. Registries and JSON have this code and `silentMs` since 0.1.0, so they keep these names. */
  | {
      readonly code: 'machine-silent';
      readonly silentMs: number;
      readonly message: string;
      /** A remedy. */
      readonly hint?: string | undefined;
      /** False if the machine is up but refuses the login: its host key changed, or our key is not accepted. */
      readonly mayBeDown: boolean;
    }
  /** The machine accepts no new units, because an operator has cordoned it. */
  | { readonly code: 'cordoned' }
  /** The machine is being drained. */
  | { readonly code: 'drained' }
  | FenceReason
  | HeldReason
  | { readonly code: 'machine-removed'; readonly machine: MachineId };

/** Why a fenced unit may not be started on a machine. */
export type FenceReason =
  /** The machine has no lease: no controller runs, or none has granted it one yet. */
  | { readonly code: 'no-lease' }
  /** An unreachable machine may run the unit for `forMs` more; undefined if that is not known. */
  | { readonly code: 'lease-may-hold'; readonly machine: string; readonly forMs: number | undefined };

/** Why a unit does not move to a machine: its text, with that hash of fleet, has failed, and would be started there. */
export type HeldReason = { readonly code: 'held'; readonly hash: string; readonly held: Held };

/** A machine that is not feasible for a unit, with the first violation. */
export type Rejection = { readonly machine: string; readonly reason: Reason };

/** A tie to `unit` by a dependency that the unit file of `declaredBy` has. */
export type Tie = { readonly unit: string; readonly declaredBy: string; readonly dependency: Dependency };

/** The option behind a tie: `Requires=db.service in line 3 of "web.service"`. */
export function tieText({ declaredBy, dependency }: Tie): string {
  return `${dependency.source} of "${declaredBy}"`;
}
