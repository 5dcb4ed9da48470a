import type { Clock } from '../base/time.ts';
import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { Cordon, DesiredUnit, Held, Token } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/unit-state.ts';
import type { MachineId, Metadata } from '../machine/machine.ts';
import type { Document } from './documents.ts';

/** A change of the registry. A unit is stored as a whole; the registry assigns its token. */
export type Edit =
  | { readonly kind: 'put-unit'; readonly unit: StoredUnit }
  | { readonly kind: 'delete-unit'; readonly name: string }
  /** Sets the cluster of an empty registry, which otherwise gets a new id. */
  | { readonly kind: 'put-cluster'; readonly id: string; readonly tokenBase: Token }
  /** Stores the verdict on a text. */
  | {
      readonly kind: 'judge-text';
      readonly unit: string;
      readonly digest: string;
      readonly verdict: 'good' | 'failed';
    }
  /** Stores that a text has failed, and holds the unit if it still has that text. */
  | { readonly kind: 'hold-text'; readonly unit: string; readonly digest: string; readonly held: Held }
  /** Forgets that the present text of a unit has failed. */
  | { readonly kind: 'release-text'; readonly unit: string }
  | { readonly kind: 'put-machine'; readonly name: string; readonly known: KnownMachine }
  /**
   * Deletes the data about a machine, and records that a command did it: units that are assigned to it may move, unless a
   * machine with its id has the name `renamedTo`.
   */
  | { readonly kind: 'delete-machine'; readonly name: string; readonly renamedTo?: string }
  /** Logs events, in addition to those that follow from other edits. */
  | { readonly kind: 'log'; readonly events: readonly LoggedEvent[] };

/** The common data of all changes. */
export type RegistryOptions = {
  readonly clock: Clock;
  /** The author, for the history: `user@host`. */
  readonly author: string;
  /** The version of this program, for units. */
  readonly fleet?: string;
};

/** A unit as it is stored, without the properties that are read from its text. */
export type StoredUnit = Omit<DesiredUnit, 'text' | 'placement' | 'triggers' | 'dependencies' | 'token'> & {
  /** Undefined only if it is unconfirmed: then no machine has its text, and its digest is that of the record there. */
  readonly text: string | undefined;
  readonly unconfirmed?: Unconfirmed | undefined;
};

/** The only machine that confirms a recovered unit, by name, and the target state there. */
export type Unconfirmed = { readonly machine: string; readonly target: TargetState };

/** The data about a machine in the registry; see `machines/` in documents.ts. */
export type KnownMachine = {
  /** Undefined in a document of version 0.1.0. */
  readonly address?: string | undefined;
  readonly metadata?: Metadata | undefined;
  readonly id: MachineId | undefined;
  /** Recorded only by version 0.1.0. */
  readonly silentSince: number | undefined;
  readonly silence?: Document<'machines/'>['silence'];
  readonly backSince: number | undefined;
  /** The units that the machine does not accept; undefined if it accepts all. */
  readonly cordon: Cordon | undefined;
  /** A token of the machine that this registry had not issued, and that no other machine confirmed. */
  readonly ahead?: Token | undefined;
  /** Whether an operator has excluded it. */
  readonly distrusted?: boolean | undefined;
};

/** The removal of a machine by a command; see `removed` in documents.ts. */
export type RemovedMachine = NonNullable<Document<'machines/'>['removed']>;

/** The data about a new machine. */
export const UNKNOWN_MACHINE: KnownMachine = {
  id: undefined,
  silentSince: undefined,
  silence: undefined,
  backSince: undefined,
  cordon: undefined,
};
