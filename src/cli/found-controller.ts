import { existsSync } from 'node:fs';
import type { Endpoint } from '../api/client.ts';
import { isTrustedSocket } from '../base/trusted-file.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import { isSameAddress } from '../config/address.ts';
import type { Config, MachineConfig } from '../config/config.ts';

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
