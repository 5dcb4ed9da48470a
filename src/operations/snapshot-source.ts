import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { ObserveOptions } from './observe-cluster.ts';

/** The source of a listing: the machines, or a controller that observes them. */
export type SnapshotSource = Ports | { readonly snapshot: () => Promise<ClusterSnapshot> };

/** The snapshot for a listing; `options` are for the machines, because a controller always observes the same. */
export async function snapshotFrom(from: SnapshotSource, options: ObserveOptions): Promise<ClusterSnapshot> {
  if ('snapshot' in from) return from.snapshot();
  // A list from a controller starts faster without this code.
  const { observeCluster } = await import('./observe-cluster.ts');
  return observeCluster(from, options);
}
