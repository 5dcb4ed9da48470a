import { leaseOf } from '../cluster/lease.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Edges } from '../reconcile/reconcile.ts';
import { look } from './look.ts';

/** A controller that gives a lease places the unit too, which changes the registry; else it is looked so often, in ms. */
const LOOK_MS = 1000;

/**
 * Gives a controller up to `ms` to notice that a fenced unit is wanted, and to give machines leases for it. What there is
 * then, is for the pass that follows.
 */
export async function awaitLease(edges: Edges, units: readonly DesiredUnit[], ms: number): Promise<void> {
  const isWanted = ({ placement, target }: DesiredUnit): boolean =>
    placement.fence !== undefined && target !== 'inactive';
  if (!units.some(isWanted)) return;
  const end = edges.clock.now() + ms;
  for (;;) {
    const view = await edges.registry.load();
    const { machines } = await look(edges);
    const left = end - edges.clock.now();
    if (left <= 0 || machines.some((machine) => leaseOf(machine) !== undefined)) return;
    await edges.registry.waitForChange(view, AbortSignal.timeout(Math.min(left, LOOK_MS)));
  }
}
