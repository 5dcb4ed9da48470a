import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/target-state.ts';

/** A unit as it is stored: what its text says is read from the text again. */
export type StoredUnit = Omit<DesiredUnit, 'placement' | 'triggers' | 'dependencies' | 'token'> & {
  readonly unconfirmed?: Unconfirmed | undefined;
};

/** What machines remember of a unit, and what that rests on: the name of the machine, and the target state there. */
export type Unconfirmed = { readonly machine: string; readonly target: TargetState };
