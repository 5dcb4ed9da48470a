import { leaseOf } from '../cluster/lease.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Ports } from '../reconcile/ports.ts';
import { observeCluster } from './observe-cluster.ts';

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
