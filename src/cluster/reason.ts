import type { MachineId } from '../machine/machine.ts';
import type { Tie } from './dependencies.ts';

/** Why a machine was not chosen for a unit. Made where it is decided, worded in output/. */
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
  /** A timer, socket, path or automount goes where the unit is that it starts. */
  | { readonly code: 'triggers-elsewhere'; readonly unit: string; readonly machine: string }
  /** The unit that it starts, which would have to come along, does not fit there. */
  | { readonly code: 'triggered-unit'; readonly unit: string; readonly reason: Reason }
  /** A timer, socket, path or automount starts it, and is elsewhere; `machine` is undefined for more than one, or none. */
  | { readonly code: 'triggered-elsewhere'; readonly trigger: string; readonly machine: string | undefined }
  /** A template that no wanted socket needs. */
  | { readonly code: 'not-triggered' }
  /** A unit whose Replaces= names it is there. */
  | { readonly code: 'replaced'; readonly unit: string }
  /** The machine has a unit of that name that fleet did not put there. */
  | { readonly code: 'foreign-unit'; readonly path: string }
  | { readonly code: 'other-cluster'; readonly cluster: string }
  | {
      readonly code: 'machine-silent';
      readonly silentMs: number;
      readonly message: string;
      /** What to do about it. */
      readonly hint?: string | undefined;
      /** False when the machine is there and only refuses us: its key changed, or ours is not accepted. */
      readonly mayBeDown: boolean;
    }
  /** The machine takes no new units, by the word of a person. */
  | { readonly code: 'cordoned' }
  /** The machine is being emptied. */
  | { readonly code: 'drained' }
  | FenceReason
  | { readonly code: 'machine-removed'; readonly machine: MachineId };

/** Why a fenced unit may not be started on a machine. */
export type FenceReason =
  /** It has no lease: no controller runs, or none has given it one yet. */
  | { readonly code: 'no-lease' }
  /** An unreachable machine may run the unit for so long, in ms; undefined for who cannot know. */
  | { readonly code: 'lease-may-hold'; readonly machine: string; readonly forMs: number | undefined };

/** One machine that a unit does not fit, with the first rule that excluded it. */
export type Rejection = { readonly machine: string; readonly reason: Reason };
