import { FleetError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/settings.ts';
import type { Streams } from './streams.ts';

/** What flags or the environment say about a fleetd: its socket or URL, or `none`; and its host. */
export function namedController(
  flags: ConfigFlags,
  { env }: Pick<Streams, 'env'>,
): { readonly endpoint: string | undefined; readonly tunnel: string | undefined } {
  return {
    endpoint: flags.endpoint ?? (env.FLEETCTL_ENDPOINT || undefined),
    tunnel: flags.tunnel ?? (env.FLEETCTL_TUNNEL || undefined),
  };
}

/**
 * The configuration of this computer, for a command that uses the registry and the machines directly. Throws FleetError
 * `usage` if a fleetd was named, because it may be of another cluster.
 */
export async function ownConfig(flags: ConfigFlags, streams: Streams): Promise<Config> {
  refuseController(flags, streams);
  const { loadConfig } = await import('../config/load.ts');
  return loadConfig({ flags, ...streams });
}

/** Throws FleetError `usage` if a fleetd was named, for commands that cannot ask it. */
export function refuseController(flags: ConfigFlags, streams: Pick<Streams, 'env'>): void {
  const { endpoint, tunnel } = namedController(flags, streams);
  if (tunnel !== undefined) throw notAsked('tunnel', flags.tunnel, tunnel);
  if (endpoint !== undefined && endpoint !== 'none') throw notAsked('endpoint', flags.endpoint, endpoint);
}

function notAsked(option: 'tunnel' | 'endpoint', flag: string | undefined, value: string): FleetError {
  const variable = `FLEETCTL_${option.toUpperCase()}`;
  const [given, remedy] =
    flag === undefined
      ? [`environment variable "${variable}"`, `unset ${variable}`]
      : [`--${option}`, 'leave it out'];
  return new FleetError('usage', `Cannot use ${given} with this command: it does not use "${value}"`, {
    hint: `Only lists and commands that change units ask a fleetd; ${remedy} to use the registry and the machines of fleet.conf`,
  });
}
