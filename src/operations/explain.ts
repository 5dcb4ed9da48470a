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

/** The explanation of a unit's placement, and the unreachable machines. */
export type UnitExplanation = Explanation & {
  /** Whether the registry has it; otherwise it was read from a local file. */
  readonly submitted: boolean;
  /** The local file with another text; the registry's text was explained. */
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
  // Machines may have reverted its text.
  const unit = snapshot.units.find(({ name }) => name === found.unit.name) ?? found.unit;
  return {
    ...explain(snapshot, unit),
    submitted: found.kind === 'known',
    differing: found.kind === 'known' ? found.differing : undefined,
    snapshot,
    unreachable: unreachableMachines(snapshot),
  };
}

/** The leases as seen by a controller that has led all the time: the last ones date from before machines became unreachable. */
function withLeases(snapshot: ClusterSnapshot): ClusterSnapshot {
  const { machines, agentTtlMs } = snapshot;
  const ends = machines.flatMap(({ id, unreachable }) =>
    id === undefined || unreachable === undefined
      ? []
      : [[id, leaseEnd(unreachable.since, agentTtlMs)] as const],
  );
  return { ...snapshot, leases: { ofMachines: new Map(ends), ofOthers: 0 } };
}
