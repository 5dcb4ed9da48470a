import type { ClientRequestArgs } from 'node:http';
import { type ClientTimeouts, type Endpoint, fetchSnapshot, parseEndpoint } from '../api/client.ts';
import type { SnapshotDocument } from '../api/snapshot.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { type Config, originOf } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { readTunnel } from '../config/read.ts';
import type { ConfigFlags } from '../config/settings.ts';
import type { SnapshotSource } from '../operations/observe-cluster.ts';
import { formatAge } from '../output/format.ts';
import { transportFor } from './access.ts';
import type { Call } from './command.ts';
import { withConfig } from './context.ts';
import { foundEndpoint } from './controller-pass.ts';
import { namedController } from './own-config.ts';
import { sshTarget } from './ssh-targets.ts';
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
  const { endpoint: named, tunnel } = namedController(flags, streams);
  if (tunnel !== undefined)
    return withTunnel(tunnel, named, { flags, streams }, (endpoint) => work(snapshotsOf(endpoint, streams)));
  if (named !== undefined && named !== 'none') return work(snapshotsOf(readEndpoint(named), streams));
  const config = await loadConfig({ flags, ...streams });
  const found = named === 'none' ? undefined : await controllerOf(config, streams);
  return found === undefined ? withConfig(config, streams, work) : work(found);
}

function readEndpoint(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw new FleetError('usage', `Cannot use the endpoint "${text}"`, {
    hint: 'Write unix:///run/fleet.sock, http://HOST:PORT, https://HOST:PORT, or none to ask the machines',
  });
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

/** Where fleetd listens on a box that it has for itself. */
const USUAL_SOCKET = '/run/fleet.sock';

/** Runs `work` with the socket of a fleetd on another box, over SSH; `named` is what --endpoint says of it. */
async function withTunnel<T>(
  host: string,
  named: string | undefined,
  { flags, streams }: { readonly flags: ConfigFlags; readonly streams: Streams },
  work: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  const path = named === undefined ? USUAL_SOCKET : socketOf(named);
  const { env, cwd, home } = streams;
  const { config, machine } = readTunnel(host, { flags, env, cwd, home });
  const { ssh: target } = sshTarget(machine, config, streams);
  const transport = transportFor(config, streams);
  try {
    // Before any time is measured: a person may be asked about a host key.
    await transport.login(target);
    const createConnection: ClientRequestArgs['createConnection'] = (_, connected) => {
      transport.socket(target, path).then(
        (stream) => connected(null, stream),
        (error: Error) => connected(error, undefined as never),
      );
      return undefined;
    };
    return await work({ name: `unix://${path} on ${host}`, options: { createConnection }, tls: false });
  } finally {
    await transport.close();
  }
}

function socketOf(named: string): string {
  const path = parseEndpoint(named)?.options.socketPath;
  if (typeof path === 'string') return path;
  throw new FleetError('usage', `Cannot use the endpoint "${named}" with --tunnel`, {
    hint: 'A tunnel leads to a socket: --endpoint unix:///run/fleet.sock',
  });
}
