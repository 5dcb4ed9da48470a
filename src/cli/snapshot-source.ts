import { type ClientTimeouts, type Endpoint, fetchSnapshot } from '../api/client.ts';
import type { SnapshotDocument } from '../api/snapshot.ts';
import { isFleetError } from '../base/errors.ts';
import { type Config, originOf } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { SnapshotSource } from '../operations/observe-cluster.ts';
import { formatAge } from '../output/format.ts';
import type { Call } from './command.ts';
import { withConfig } from './context.ts';
import { foundEndpoint } from './controller-pass.ts';
import { withEndpoint } from './named-endpoint.ts';
import { isNamed, namedController } from './own-config.ts';
import type { Streams } from './streams.ts';

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
  work: (from: SnapshotSource) => Promise<T>,
): Promise<T> {
  const named = namedController(flags, streams);
  if (isNamed(named))
    return withEndpoint(named, { flags, streams }, (endpoint) => work(snapshotsOf(endpoint, streams)));
  const config = await loadConfig({ flags, ...streams });
  const found = named.endpoint === 'none' ? undefined : await controllerOf(config, streams);
  return found === undefined ? withConfig(config, streams, work) : work(found);
}

/** The fleetd on the socket of `config`, if it has the same registry and machines. */
async function controllerOf(config: Config, streams: Streams): Promise<SnapshotSource | undefined> {
  const endpoint = foundEndpoint(config);
  if (endpoint === undefined) return undefined;
  try {
    const first = await fetchSnapshot(endpoint, timeoutsOfFound(config.machines.length));
    return first.origin === originOf(config) ? snapshotsOf(endpoint, streams, first) : undefined;
  } catch (error) {
    if (isFleetError(error)) return undefined;
    throw error;
  }
}

/** `first` is an answer that was received already. */
function snapshotsOf(
  endpoint: Endpoint,
  { err, live, quiet }: Streams,
  first?: SnapshotDocument,
): SnapshotSource {
  let next = first;
  return {
    async snapshot() {
      const { snapshot, ageMs } = next ?? (await fetchSnapshot(endpoint, NAMED));
      next = undefined;
      // Users who changed something by hand need to know the age; scripts read only data.
      if (live !== undefined && quiet !== true && ageMs >= 1_000)
        err(`As fleetd saw it ${formatAge(ageMs)} ago; "--endpoint none" asks the machines\n`);
      return snapshot;
    },
  };
}
