import type { Clock } from '../base/time.ts';
import type { LoggedEvent } from '../cluster/logged-event.ts';
import type { Token } from '../cluster/snapshot.ts';
import type { StoredUnit } from './stored-unit.ts';
import type { KnownMachine } from './view.ts';

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
