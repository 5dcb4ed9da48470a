import { compareText } from '../base/compare.ts';
import type { Metadata } from '../machine/metadata.ts';
import type { Edges } from '../reconcile/reconcile.ts';
import { look } from './look.ts';
import { type MachineRef, machineRef } from './unit-result.ts';
import { type Listing, unreachableMachines } from './unreachable.ts';

/** One machine of the inventory. */
export type MachineRow = MachineRef & {
  readonly metadata: Metadata;
  readonly state: 'reachable' | 'unreachable';
};

/** Every machine, those that never answered (and have no known id) last. */
export async function listMachines(edges: Edges): Promise<Listing<MachineRow>> {
  const snapshot = await look(edges);
  const rows = snapshot.machines.map(
    (view): MachineRow => ({
      ...machineRef(view),
      metadata: view.machine.metadata,
      state: view.silence === undefined ? 'reachable' : 'unreachable',
    }),
  );
  return {
    rows: rows.toSorted((a, b) => compareText(a.id ?? '~', b.id ?? '~') || compareText(a.name, b.name)),
    unreachable: unreachableMachines(snapshot),
  };
}
