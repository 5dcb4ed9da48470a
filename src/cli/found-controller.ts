import { existsSync } from 'node:fs';
import type { Endpoint } from '../api/client.ts';
import { isTrustedSocket } from '../base/trusted-file.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import { isSameAddress } from '../config/address.ts';
import { type Config, type MachineConfig, originOf } from '../config/config.ts';

/** The socket of a fleetd on this computer; undefined if there is none. */
export function foundEndpoint({ listen }: Config): Endpoint | undefined {
  const place = listen.find(({ kind }) => kind === 'unix');
  if (place?.kind !== 'unix' || !existsSync(place.path) || !isTrustedSocket(place.path)) return undefined;
  return { name: `unix://${place.path}`, options: { socketPath: place.path }, tls: false };
}

/**
 * Whether a controller has the registry of this configuration and knows all of its machines. A registry on the machines is
 * that of the same cluster if a machine has the same address.
 */
export function isControllerOf(
  config: Config,
  {
    origin,
    machines,
  }: { readonly origin: string; readonly machines: readonly Pick<MachineView, 'machine'>[] },
): boolean {
  const known = new Map(machines.map(({ machine }) => [machine.name, machine.address]));
  const isSame = ({ machine }: MachineConfig): boolean =>
    isSameAddress(known.get(machine.name) ?? '', machine.address);
  return (
    origin === originOf(config) &&
    config.machines.every(({ machine }) => known.has(machine.name)) &&
    (config.registry.kind !== 'machines' || config.machines.some(isSame))
  );
}
