import type { Reason } from '../cluster/reason.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { formatMachineId, type MachineId } from '../machine/machine.ts';
import type { ReconcileReport } from '../reconcile/reconcile.ts';
import { type MachineRef, machineRef } from './machine-ref.ts';

/** A unit that goes to another machine, and what speaks against the one it was on. */
export type Move = {
  readonly unit: string;
  readonly from: MachineRef;
  readonly to: MachineRef;
  readonly because: Reason;
};

/** The moves that a pass decided. */
export function movesOf({ decisions, snapshot }: ReconcileReport): readonly Move[] {
  return decisions.flatMap((decision): readonly Move[] => {
    if (decision.kind !== 'move') return [];
    const { unit, because } = decision;
    const from = refOf(decision.from, snapshot);
    return [{ unit, from, to: refOf(decision.machine, snapshot), because }];
  });
}

/** A machine that is not in fleet.conf any more goes by its id. */
function refOf(id: MachineId, { machines }: ClusterSnapshot): MachineRef {
  const view = machines.find((candidate) => candidate.id === id);
  return view === undefined ? { name: formatMachineId(id), id, address: '' } : machineRef(view);
}
