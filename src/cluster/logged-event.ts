import type { MachineId } from '../machine/machine.ts';
import type { Failure } from './failure.ts';
import type { Reason } from './reason.ts';
import type { Held } from './snapshot.ts';
import type { TargetState } from './unit-state.ts';

/** A machine of an event; `name` is its name in fleet.conf at that time, if it had one. */
export type LoggedMachine = { readonly id: MachineId; readonly name: string | undefined };

/** A decision or an observed change, as the registry stores it. Worded in output/. */
export type LoggedEvent =
  /** The target state of a unit was changed; a new unit had none. */
  | { readonly kind: 'target'; readonly unit: string; readonly target: TargetState }
  /** A unit has a new text; `hash` is fleet's. */
  | { readonly kind: 'text'; readonly unit: string; readonly hash: string }
  | { readonly kind: 'destroy'; readonly unit: string }
  | { readonly kind: 'place'; readonly unit: string; readonly to: LoggedMachine }
  | {
      readonly kind: 'move';
      readonly unit: string;
      readonly from: LoggedMachine;
      readonly to: LoggedMachine;
      readonly because: Reason;
    }
  /** A move that failed and was reverted: the unit is not on `from`, and still on `to`. */
  | {
      readonly kind: 'return';
      readonly unit: string;
      readonly from: LoggedMachine;
      readonly to: LoggedMachine;
    }
  | { readonly kind: 'machine-lost'; readonly machine: string; readonly message: string }
  | { readonly kind: 'machine-back'; readonly machine: string; readonly silentMs: number }
  | { readonly kind: 'cordon'; readonly machine: string; readonly globals: boolean }
  | { readonly kind: 'uncordon'; readonly machine: string }
  | { readonly kind: 'machine-added'; readonly machine: string; readonly address: string }
  /** The new address, and the new metadata as `key=value,…`, if they are others. */
  | {
      readonly kind: 'machine-changed';
      readonly machine: string;
      readonly address?: string;
      readonly metadata?: string;
    }
  | { readonly kind: 'machine-renamed'; readonly machine: string; readonly renamedTo: string }
  /** It was removed from the cluster by a command. */
  | { readonly kind: 'machine-removed'; readonly machine: string }
  /** Machines that are no voters any more, and those that became voters; one in both lists had lost its state. */
  | { readonly kind: 'voters'; readonly gone: readonly string[]; readonly come: readonly string[] }
  /** An operator has rebuilt the registry without these voters, so changes that only they have are missing. */
  | { readonly kind: 'registry-rebuilt'; readonly without: readonly string[] }
  /** A machine has the registry from before a recovery, at this revision, and may have changes that the present one lacks. */
  | { readonly kind: 'former-registry'; readonly machine: string; readonly revision: number }
  /** A unit could not reach its target state; logged again when the failure changes. */
  | { readonly kind: 'failed'; readonly unit: string; readonly machine: string; readonly failure: Failure }
  /** A new text has failed, and is held until `released`. */
  | { readonly kind: 'held'; readonly unit: string; readonly hash: string; readonly held: Held }
  | { readonly kind: 'released'; readonly unit: string; readonly hash: string }
  /** The first success after such a failure. */
  | { readonly kind: 'recovered'; readonly unit: string; readonly machine: string }
  /** A unit was restarted by a command. */
  | { readonly kind: 'restart'; readonly unit: string; readonly machine: string };

/** The events of one change of the registry: at epoch ms, by the clock of the process that made it, and its `user@host`. */
export type LogEntry = {
  readonly at: number;
  readonly by: string;
  readonly events: readonly LoggedEvent[];
};
