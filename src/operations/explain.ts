import { leaseEnd } from '../cluster/lease.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import type { Ports } from '../reconcile/ports.ts';
import { type Explanation, explain } from '../schedule/explain.ts';
import { findUnit } from './find-unit.ts';
import { type UnreachableMachine, unreachableMachines } from './listing.ts';
import { readLocalUnits } from './local-file.ts';
import { observeCluster } from './observe-cluster.ts';
import { refuseTemplate } from './set-target-state.ts';
import type { DifferingFile } from './unit-result.ts';

/** Why a unit is where it is, with the machines that could not be asked. */
export type UnitExplanation = Explanation & {
  /** Whether the registry has it; else it was read from the disk. */
  readonly submitted: boolean;
  /** The local file that says something else; the registry's text is what was explained. */
  readonly differing: DifferingFile | undefined;
  readonly snapshot: ClusterSnapshot;
  readonly unreachable: readonly UnreachableMachine[];
};

/** Explains a unit of the registry, or a unit file that is not submitted yet. Throws FleetError `unit-not-found`. */
export async function explainUnit(
  ports: Ports,
  { unit: argument, cwd }: { readonly unit: string; readonly cwd: string },
): Promise<UnitExplanation> {
  refuseTemplate(argument, 'explain');
  const [local] = await readLocalUnits([argument], cwd);
  if (local === undefined) throw new TypeError('one argument is one unit');
  const found = findUnit(local, await ports.registry.load());
  if (found.kind === 'problem') throw found.error;
  const snapshot = withLeases(await observeCluster(ports, { names: [found.unit.name] }));
  return {
    ...explain(snapshot, found.unit),
    submitted: found.kind === 'known',
    differing: found.kind === 'known' ? found.differing : undefined,
    snapshot,
    unreachable: unreachableMachines(snapshot),
  };
}

/** The leases that a controller counts on that has led all the time: its last answers came before machines became unreachable. */
function withLeases(snapshot: ClusterSnapshot): ClusterSnapshot {
  const { machines, agentTtlMs } = snapshot;
  const ends = machines.flatMap(({ id, unreachable }) =>
    id === undefined || unreachable === undefined
      ? []
      : [[id, leaseEnd(unreachable.since, agentTtlMs)] as const],
  );
  return { ...snapshot, leases: { ofMachines: new Map(ends), ofOthers: 0 } };
}
