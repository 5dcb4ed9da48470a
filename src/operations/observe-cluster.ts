import { isFleetError } from '../base/errors.ts';
import { leaseOf } from '../cluster/lease.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import { machineEdits, observe, unseenBy } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import type { ObserveRequest } from '../systemd/observation.ts';

/** Where a listing has the cluster from: machines that are asked now, or a controller that watches them. */
export type SnapshotSource = Ports | { readonly snapshot: () => Promise<ClusterSnapshot> };

/**
 * The cluster as it is now, for a listing; nothing is changed on machines. Of `names` machines tell also what
 * fleet did not put there, with `vitals` how busy each is, with `digests` whether files were changed there, and the clock of each.
 */
export async function observeCluster(
  from: SnapshotSource,
  {
    names = [],
    vitals = false,
    digests = false,
  }: Partial<Pick<ObserveRequest, 'names' | 'vitals' | 'digests'>> = {},
): Promise<ClusterSnapshot> {
  if ('snapshot' in from) return from.snapshot();
  const ports = from;
  const registry = await ports.registry.load();
  const request = { names, digests, vitals };
  const { views, sessions } = await observe(ports, registry, request);
  for (const session of sessions.values()) session.close();
  await remember(ports, views, registry);
  const unseen = views
    .flatMap(({ observation }) => (observation === undefined ? [] : unseenBy(observation, registry)))
    .filter((name) => !names.includes(name));
  if (unseen.length > 0) return observeCluster(ports, { names: [...names, ...unseen], vitals, digests });
  return snapshotOf(ports, registry, views);
}

/**
 * Keeps who is unreachable since when. A listing leaves an empty registry empty, and may be run by people who can
 * read the registry but not write it. One that is older than its machines is not changed by it either.
 */
async function remember(ports: Ports, views: readonly MachineView[], registry: RegistryView): Promise<void> {
  if (registry.clusterId === undefined || machineEdits(views, registry, ports).length === 0) return;
  try {
    await ports.registry.update((view) => machineEdits(views, view, ports));
  } catch (error) {
    if (!isFleetError(error, 'registry-unavailable') && !isFleetError(error, 'registry-outdated'))
      throw error;
  }
}

/** A controller that gives a lease places the unit too, which changes the registry; else it is looked so often, in ms. */
const LOOK_MS = 1000;

/**
 * Gives a controller up to `ms` to notice that a fenced unit is wanted, and to give machines leases for it. What there is
 * then, is for the pass that follows.
 */
export async function awaitLease(ports: Ports, units: readonly DesiredUnit[], ms: number): Promise<void> {
  const isWanted = ({ placement, target }: DesiredUnit): boolean =>
    placement.fence !== undefined && target !== 'inactive';
  if (!units.some(isWanted)) return;
  const end = ports.clock.now() + ms;
  for (;;) {
    const view = await ports.registry.load();
    const { machines } = await observeCluster(ports);
    const left = end - ports.clock.now();
    if (left <= 0 || machines.some((machine) => leaseOf(machine) !== undefined)) return;
    await ports.registry.waitForChange(view, AbortSignal.timeout(Math.min(left, LOOK_MS)));
  }
}
