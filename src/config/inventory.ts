import { formatAddress, parseAddress, parseUser } from './address.ts';
import type { MachineConfig, SshLayers } from './config.ts';
import type { Section, Setting } from './parse.ts';
import { excerpt, problem, quote } from './problem.ts';
import type { MachineSettings, Schemas, SshSettings } from './schema.ts';
import { readSection } from './section.ts';

/** A `[machine.NAME]` of a parsed file. */
export type MachineSection = { readonly name: string; readonly section: Section };

/** Reads the section of a machine. Throws `config`. */
export function readMachine(
  schemas: Schemas,
  { name, section }: MachineSection,
  layers: SshLayers,
): MachineConfig {
  const own = withBecome(readSection(schemas, schemas.machine, section), section);
  const port = section.settings.get('port');
  if (port !== undefined && own.port !== (own.address.port ?? own.port))
    throw problem(`${port.where} is not the port of its address: ${excerpt(port.value)}`);
  return machineConfig(name, own, layers, section.settings.get('address'));
}

/**
 * The machine that `host`, `user@host` or `user@host:port` names, where the host may be an alias of ssh_config; it has the
 * settings of `[ssh]`. `by` says where the text is from. Throws FleetError `config`.
 */
export function unlistedMachine(
  text: string,
  layers: SshLayers,
  by: '--tunnel' | 'MACHINE' | 'registry',
): MachineConfig {
  const [, user, place = ''] = /^(?:(.+)@)?([^@]+)$/.exec(text) ?? [];
  const address = parseAddress(place);
  if (address === undefined || (user !== undefined && parseUser(user) === undefined))
    throw problem(`"${by}" must be HOST, USER@HOST or USER@HOST:PORT: ${quote(text)}`);
  return machineConfig(address.host, { address, ...(user !== undefined && { user }) }, layers, undefined);
}

function machineConfig(
  name: string,
  own: MachineSettings,
  { ssh, override }: SshLayers,
  written: Setting | undefined,
): MachineConfig {
  const { address, metadata = {}, ...settings } = own;
  const { host, port = own.port } = address;
  return {
    machine: { name, address: formatAddress({ host, port }), metadata },
    host,
    settings: { ...ssh, ...settings, ...(port !== undefined && { port }), ...override },
    written,
  };
}

/** `sudo = true` is another spelling of `become = sudo`, `sudo = false` of `become = none`. */
export function withBecome<S extends SshSettings>(own: S, { settings }: Section): S {
  const twice = own.become !== undefined && settings.get('sudo');
  if (twice) throw problem(`${twice.where} is an older way to say "become", which is there too`, 'Remove it');
  return own.sudo === undefined ? own : { ...own, become: own.sudo ? 'sudo' : 'none' };
}
