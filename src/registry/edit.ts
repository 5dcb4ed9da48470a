import type { Clock } from '../base/time.ts';
import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { Cordon, DesiredUnit, Token } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/unit-state.ts';
import type { MachineId } from '../machine/machine.ts';
import type { Document } from './documents.ts';

/** A change of what is wanted. A unit is put whole: its token is given by the registry. */
export type Edit =
  | { readonly kind: 'put-unit'; readonly unit: StoredUnit }
  | { readonly kind: 'delete-unit'; readonly name: string }
  /** The cluster that an empty registry is of; it gets a new id without. */
  | { readonly kind: 'put-cluster'; readonly id: string; readonly tokenBase: Token }
  /** Whether a text came up when it was started. */
  | {
      readonly kind: 'judge-text';
      readonly unit: string;
      readonly digest: string;
      readonly verdict: 'good' | 'failed';
    }
  | { readonly kind: 'put-machine'; readonly name: string; readonly known: KnownMachine }
  /** From now on nothing is known of a machine under that name: units that are assigned to it may move. */
  | { readonly kind: 'delete-machine'; readonly name: string }
  /** What was decided, beside what the other edits tell by themselves. */
  | { readonly kind: 'log'; readonly events: readonly LoggedEvent[] };

/** What goes with every change. */
export type RegistryOptions = {
  readonly clock: Clock;
  /** Who changes it, for the history: `user@host`. */
  readonly author: string;
  /** The version of this program, for units. */
  readonly fleet?: string;
};

/** A unit as it is stored: what its text says is read from the text again. */
export type StoredUnit = Omit<DesiredUnit, 'placement' | 'triggers' | 'dependencies' | 'token'> & {
  readonly unconfirmed?: Unconfirmed | undefined;
};

/** What machines remember of a unit, and what that rests on: the name of the machine, and the target state there. */
export type Unconfirmed = { readonly machine: string; readonly target: TargetState };

/** What the registry remembers of a machine between commands. */
export type KnownMachine = {
  readonly id: MachineId | undefined;
  /** Recorded only by version 0.1.0. */
  readonly silentSince: number | undefined;
  readonly silence?: Document<'machines/'>['silence'];
  readonly backSince: number | undefined;
  /** Which units the machine takes no more of; undefined when it takes all. */
  readonly cordon: Cordon | undefined;
  /** A token that it has seen and this registry had not given, while no other machine confirmed that. */
  readonly ahead?: Token | undefined;
  /** Whether an operator has excluded it. */
  readonly distrusted?: boolean | undefined;
};

/** What is known of a machine that nothing is known of. */
export const UNKNOWN_MACHINE: KnownMachine = {
  id: undefined,
  silentSince: undefined,
  silence: undefined,
  backSince: undefined,
  cordon: undefined,
};
