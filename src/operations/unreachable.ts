import { type ClusterSnapshot, otherCluster } from '../cluster/snapshot.ts';
import { type MachineRef, machineRef } from './machine-ref.ts';

/** A machine that a listing says nothing about, because it did not answer or is not ours, and why. */
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
    const cluster = otherCluster(view, snapshot);
    if (cluster !== undefined) {
      const message = `Machine "${view.machine.name}" (${view.machine.address}) belongs to another cluster: ${cluster}`;
      return [{ machine: machineRef(view), message, hint: undefined, silentMs: 0 }];
    }
    if (view.silence === undefined) return [];
    const { message, hint, since } = view.silence;
    return [{ machine: machineRef(view), message, hint, silentMs: Math.max(0, snapshot.now - since) }];
  });
}
