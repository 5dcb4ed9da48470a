import { type ClientTimeouts, type Endpoint, fetchSnapshot } from '../api/client.ts';
import type { SnapshotDocument } from '../api/snapshot.ts';
import { isFleetError } from '../base/errors.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { type Config, originOf } from '../config/config.ts';
import type { SnapshotSource } from '../operations/observe-cluster.ts';
import { formatAge } from '../output/format.ts';
import { differenceLines } from '../output/inventory.ts';
import { UNKNOWN_MACHINE } from '../registry/edit.ts';
import { type Inventory, inventoryDifferences } from '../registry/inventory.ts';
import type { Call } from './command.ts';
import { differenceOf, foundEndpoint, withEndpoint } from './endpoint.ts';
import { type Streams, writeLines } from './streams.ts';

/** Time limits for an endpoint that the user named. */
const NAMED: ClientTimeouts = { firstMs: 5_000, wholeMs: 30_000 };
/** Time limits for an endpoint that was found; they are short, because the machines can be asked instead. */
function timeoutsOfFound(machines: number): ClientTimeouts {
  return { firstMs: 50 + 5 * machines, wholeMs: 2_000 + 5 * machines };
}

/**
 * Runs `work` with a source of cluster snapshots: the endpoint that the user named, a fleetd of the same cluster on
 * this computer that answers at once, or the machines themselves.
 */
export async function withSnapshotSource<T>(
  { flags, streams }: Pick<Call, 'flags' | 'streams'>,
  work: (source: SnapshotSource) => Promise<T>,
): Promise<T> {
  return withEndpoint({ flags, streams }, async (chosen) => {
    if (typeof chosen === 'object') return work(snapshotsOf(chosen, streams));
    const { loadConfig } = await import('../config/load.ts');
    const config = await loadConfig({ flags, ...streams });
    const found = chosen === 'none' ? undefined : await controllerOf(config, streams);
    if (found !== undefined) return work(found);
    const { withConfig } = await import('./context.ts');
    const { withMachineSnapshots } = await import('../operations/observe-cluster.ts');
    return withConfig(config, streams, (ports) => withMachineSnapshots(ports, work));
  });
}

/** The fleetd on the socket of `config`, if it has the same registry and machines. */
async function controllerOf(config: Config, streams: Streams): Promise<SnapshotSource | undefined> {
  const endpoint = foundEndpoint(config);
  if (endpoint === undefined) return undefined;
  try {
    const first = await fetchSnapshot(endpoint, timeoutsOfFound(config.machines.length));
    const { origin, snapshot } = first;
    if (differenceOf(config, snapshot, origin === originOf(config)) !== undefined) return undefined;
    const proposed = config.machines.map(({ machine }) => machine);
    const differences = inventoryDifferences(inventoryOf(snapshot), proposed);
    writeLines(streams.err, differences.flatMap(differenceLines));
    return snapshotsOf(endpoint, streams, first);
  } catch (error) {
    if (isFleetError(error)) return undefined;
    throw error;
  }
}

/** The machines of a snapshot; one without an address is unknown to its controller, too. */
function inventoryOf({ machines }: ClusterSnapshot): Inventory {
  const known = machines.flatMap(({ machine }) =>
    machine.address === '' ? [] : [[machine.name, { ...UNKNOWN_MACHINE, ...machine }] as const],
  );
  return { machines: new Map(known) };
}

/** `first` is an answer that was received already. */
function snapshotsOf(
  endpoint: Endpoint,
  { err, live, quiet }: Streams,
  first?: SnapshotDocument,
): SnapshotSource {
  let next = first;
  return async () => {
    const { snapshot, ageMs } = next ?? (await fetchSnapshot(endpoint, NAMED));
    next = undefined;
    // Users who changed something by hand need to know the age; scripts read only data.
    if (live !== undefined && quiet !== true && ageMs >= 1_000)
      err(`As fleetd saw it ${formatAge(ageMs)} ago; "--endpoint none" asks the machines\n`);
    return snapshot;
  };
}
