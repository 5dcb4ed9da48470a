import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { type MachineRef, machineRef } from './unit-result.ts';

/** A machine that a listing could not ask, and why. */
export type UnreachableMachine = {
  readonly machine: MachineRef;
  readonly message: string;
  readonly hint: string | undefined;
  /** How long it has been silent, in ms. */
  readonly silentMs: number;
};

/** Rows of a listing, and the machines that are missing from it. */
export type Listing<Row> = {
  readonly rows: readonly Row[];
  readonly unreachable: readonly UnreachableMachine[];
};

export function unreachableMachines(snapshot: ClusterSnapshot): readonly UnreachableMachine[] {
  return snapshot.machines.flatMap((view) => {
    if (view.silence === undefined) return [];
    const { message, hint, since } = view.silence;
    return [{ machine: machineRef(view), message, hint, silentMs: Math.max(0, snapshot.now - since) }];
  });
}
