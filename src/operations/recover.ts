import { FleetError } from '../base/errors.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import { memories, observe } from '../reconcile/observe.ts';
import { type Edges, snapshotOf } from '../reconcile/reconcile.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import { type RecoveredUnits, recoverUnits } from './recovered-units.ts';
import { type UnreachableMachine, unreachableMachines } from './unreachable.ts';

/** Everything that was found; or the machines that did not answer, and then nothing was stored. */
export type RecoverResult =
  | ({ readonly kind: 'recovered'; readonly clusterId: string } & RecoveredUnits)
  | { readonly kind: 'silent'; readonly unreachable: readonly UnreachableMachine[] };

/**
 * Rebuilds a registry that was lost from what machines have of it: texts, target states, where units are, and the
 * id of the cluster. Machines are only read. All of them have to answer: a unit that is missing from the registry
 * counts as one that nobody wants. Tokens go on above the highest that any machine has seen. Throws FleetError
 * `not-recoverable` when the registry is not empty, or the machines are not of one cluster.
 */
export async function recover(edges: Edges): Promise<RecoverResult> {
  const registry = await edges.registry.load();
  refuseExisting(registry);
  const request = { names: [], digests: false, backup: true };
  const { views, sessions } = await observe(edges, registry, request);
  for (const session of sessions.values()) session.close();
  if (views.some(({ silence }) => silence !== undefined)) {
    const silent = views.filter(({ silence }) => silence !== undefined);
    return { kind: 'silent', unreachable: unreachableMachines(snapshotOf(edges, registry, silent)) };
  }
  const clusterId = clusterOf(views);
  const recovered = recoverUnits(views);
  await edges.registry.update((view) => {
    refuseExisting(view);
    return [
      { kind: 'put-cluster', id: clusterId, tokenBase: highestToken(views) },
      ...recovered.units.map(({ stored }): Edit => ({ kind: 'put-unit', unit: stored })),
      ...memories(views, view, edges),
    ];
  });
  return { kind: 'recovered', clusterId, ...recovered };
}

function refuseExisting(registry: RegistryView): void {
  if (registry.clusterId === undefined) return;
  throw new FleetError('not-recoverable', 'Cannot recover the registry: there is one, and it is not empty', {
    hint: 'If it is to be replaced, move it away first; "registry" in fleet.conf says where it is',
  });
}

/** The cluster that owns the machines; new ones belong to none. */
function clusterOf(views: readonly MachineView[]): string {
  const owned = views.flatMap(({ machine, observation }) =>
    observation?.cluster === undefined ? [] : [{ name: machine.name, cluster: observation.cluster }],
  );
  const [first] = owned;
  if (first === undefined) {
    throw new FleetError(
      'not-recoverable',
      'Cannot recover the registry: no machine of fleet.conf belongs to a cluster',
      { hint: 'Check that fleet.conf has the machines that ran your units: fleetctl list-machines' },
    );
  }
  const other = owned.find(({ cluster }) => cluster !== first.cluster);
  if (other === undefined) return first.cluster;
  throw new FleetError(
    'not-recoverable',
    `Cannot recover the registry: machine "${first.name}" belongs to cluster ${first.cluster}, machine "${other.name}" to ${other.cluster}`,
    { hint: 'Leave only the machines of one cluster in fleet.conf' },
  );
}

function highestToken(views: readonly MachineView[]): number {
  return Math.max(0, ...views.map(({ observation }) => observation?.backup?.token ?? 0));
}
