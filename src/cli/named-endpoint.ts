import { type Endpoint, parseEndpoint } from '../api/client.ts';
import { FleetError } from '../base/errors.ts';
import type { Call } from './command.ts';
import type { NamedController } from './own-config.ts';

/** Runs `work` with the fleetd that the user named. Throws FleetError `usage` for an invalid name. */
export async function withEndpoint<T>(
  { endpoint, tunnel }: NamedController,
  given: Pick<Call, 'flags' | 'streams'>,
  work: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  if (tunnel === undefined) return work(readEndpoint(endpoint ?? ''));
  const { withTunnel } = await import('./tunnel.ts');
  return withTunnel(tunnel, endpoint, given, work);
}

function readEndpoint(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw new FleetError('usage', `Cannot use the endpoint "${text}"`, {
    hint: 'Write unix:///run/fleet.sock, http://HOST:PORT, https://HOST:PORT, or none to ask the machines',
  });
}
