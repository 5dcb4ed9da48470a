import { existsSync } from 'node:fs';
import { type Endpoint, parseEndpoint } from '../api/client.ts';
import { FleetError } from '../base/errors.ts';
import { isTrustedSocket } from '../base/trusted-file.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import { isSameAddress } from '../config/address.ts';
import type { Config, MachineConfig } from '../config/config.ts';
import type { Call } from './command.ts';
import { namedController } from './own-config.ts';

/** The fleetd for a command: the one that the user named, or that of this computer if there is one (`found`), or none. */
export type ChosenEndpoint = Endpoint | 'found' | 'none';

/** Runs `work` with the fleetd that the user chose. Throws FleetError `usage` for an invalid name. */
export async function withEndpoint<T>(
  given: Pick<Call, 'flags' | 'streams'>,
  work: (chosen: ChosenEndpoint) => Promise<T>,
): Promise<T> {
  const { endpoint, tunnel } = namedController(given.flags, given.streams);
  if (tunnel !== undefined) {
    const { withTunnel } = await import('./tunnel.ts');
    return withTunnel(tunnel, endpoint, given, work);
  }
  if (endpoint === undefined) return work('found');
  return work(endpoint === 'none' ? endpoint : readEndpoint(endpoint));
}

function readEndpoint(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw new FleetError('usage', `Cannot use the endpoint "${text}"`, {
    hint: 'Write unix:///run/fleet.sock, http://HOST:PORT, https://HOST:PORT, or none to ask the machines',
  });
}

/** The socket of a fleetd on this computer; undefined if there is none. */
export function foundEndpoint({ listen }: Config): Endpoint | undefined {
  const place = listen.find(({ kind }) => kind === 'unix');
  if (place?.kind !== 'unix' || !existsSync(place.path) || !isTrustedSocket(place.path)) return undefined;
  return { name: `unix://${place.path}`, options: { socketPath: place.path }, tls: false };
}

/**
 * How a controller differs from this configuration; undefined if it has the same registry and knows all of the machines. A
 * registry on the machines is that of the same cluster if a machine has the same address.
 */
export function differenceOf(
  config: Config,
  { machines }: { readonly machines: readonly Pick<MachineView, 'machine'>[] },
  hasRegistry: boolean,
): string | undefined {
  const known = new Map(machines.map(({ machine }) => [machine.name, machine.address]));
  const isSame = ({ machine }: MachineConfig): boolean =>
    isSameAddress(known.get(machine.name) ?? '', machine.address);
  if (!hasRegistry) return 'it has another registry';
  const unknown = config.machines.filter(({ machine }) => !known.has(machine.name));
  if (unknown.length > 0)
    return `it does not know these machines: ${unknown.map(({ machine }) => machine.name).join(', ')}`;
  if (config.registry.kind !== 'machines' || config.machines.some(isSame)) return undefined;
  return 'it has other addresses for all machines';
}
