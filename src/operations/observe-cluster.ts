import { type FleetError, isFleetError } from '../base/errors.ts';
import { mayStartUnder } from '../cluster/lease.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import { observedEarly } from '../reconcile/early.ts';
import { machineEdits, unseenBy, viewsOf } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { asProposed } from '../registry/inventory.ts';
import { readAhead } from '../registry/read-ahead.ts';
import { RegistryView } from '../registry/view.ts';
import { renewSessions } from '../systemd/driver.ts';
import type { ObserveRequest } from '../systemd/observation.ts';

export type ObserveOptions = Partial<Pick<ObserveRequest, 'names' | 'vitals' | 'digests'>> & {
  readonly withoutRegistry?: boolean;
};

/** The source of a list: the machines, or a controller, which observes always the same and needs no options. */
export type SnapshotSource = (options?: ObserveOptions) => Promise<ClusterSnapshot>;

/** Runs `work` with the machines as the source. Their sessions stay open between two snapshots. */
export async function withMachineSnapshots<T>(
  ports: Ports,
  work: (source: SnapshotSource) => Promise<T>,
): Promise<T> {
  const driver = renewSessions(ports.driver);
  try {
    return await work((options) => observeCluster({ ...ports, driver }, options));
  } finally {
    await driver.close();
  }
}

/**
 * Observes the cluster for a listing, without changes on machines. Units in `names` are included even if fleet did not
 * write them. `vitals` adds load and memory; `digests` adds changed files and the clocks. With `withoutRegistry`, a registry
 * without a majority of its voters leads to the units of the machines alone.
 */
export async function observeCluster(ports: Ports, options: ObserveOptions = {}): Promise<ClusterSnapshot> {
  const { names = [], vitals = false, digests = false, withoutRegistry = false } = options;
  const request = { names, digests, vitals };
  if (ports.early === undefined) return observeNow(ports, request, withoutRegistry);
  const driver = observedEarly(ports.driver, asProposed(ports.machines), request);
  try {
    return await observeNow({ ...ports, driver }, request, withoutRegistry);
  } finally {
    await driver.close();
  }
}

async function observeNow(
  ports: Ports,
  request: ObserveRequest,
  mayLackRegistry: boolean,
): Promise<ClusterSnapshot> {
  const problems: FleetError[] = [];
  const registry = await ports.registry.load().catch((error) => {
    if (!mayLackRegistry || !isFleetError(error, 'registry-no-majority')) throw error;
    problems.push(error);
    return new RegistryView(0, []);
  });
  const [views] = await Promise.all([viewsOf(ports, registry, request), readAhead(registry)]);
  await remember(ports, views, registry);
  const unseen = views
    .flatMap(({ observation }) => (observation === undefined ? [] : unseenBy(observation, registry)))
    .filter((name) => !request.names.includes(name));
  if (unseen.length > 0)
    return observeNow(ports, { ...request, names: [...request.names, ...unseen] }, false);
  const snapshot = snapshotOf(ports, registry, views);
  const [withoutRegistry] = problems;
  if (withoutRegistry === undefined) return snapshot;
  const clusterId = views.flatMap(({ observation }) => observation?.cluster ?? [])[0];
  return { ...snapshot, clusterId, withoutRegistry };
}

/**
 * Stores since when machines are unreachable. A listing does not change an empty registry, or one that is older than its
 * machines, and succeeds for users who can only read the registry.
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

/** The interval of observations in ms, if the registry does not change. A controller that grants a lease usually changes it. */
const LOOK_MS = 1000;

/**
 * Waits up to `ms` until a controller has granted a lease for a new fenced unit. The pass after it fails without a lease.
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
    if (left <= 0 || machines.some((machine) => mayStartUnder(machine, ports.agentTtlMs))) return;
    await ports.registry.waitForChange(view, AbortSignal.timeout(Math.min(left, LOOK_MS)));
  }
}
