import { dirname } from 'node:path';
import { configError, excerpt, inQuotes } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import type { Machine } from '../machine/machine.ts';
import { formatAddress, isSameAddress, parseAddress, parseUser } from './address.ts';
import {
  type Config,
  type ConfigRequest,
  type MachineConfig,
  MINIMAL_FILE,
  type SshConfig,
  SYSTEM_FILE,
} from './config.ts';
import type { Section, Setting } from './parse.ts';
import { formatListenPlace, type PathBase, type RegistryPlace } from './places.ts';
import { isFlagSet, overrideSection, readSection } from './section.ts';
import { keysOf } from './settings.ts';
import {
  type EtcdSettings,
  type ListenSettings,
  type MachineSettings,
  readValue,
  type SshSettings,
  type TopSettings,
} from './values.ts';

/** Makes a Config from a parsed file, the environment and the flags. `file` is absolute. */
export function readConfig(
  file: string,
  sections: ReadonlyMap<string, Section>,
  request: ConfigRequest,
): Config {
  const base = { directory: dirname(file), home: request.home };
  const ssh = readSsh(sections.get('ssh') ?? emptySection('ssh'), base, request);
  const own = readSection('top', sections.get('') ?? emptySection(''), base);
  const top = { ...defaults(file, base), ...own } as TopSettings;
  const machines = machineSections(file, sections).map(([name, section]) =>
    readMachine(name, section, base, ssh),
  );
  checkEtcdSettings(top.registry, top);
  checkListen(top);
  const verbose = isFlagSet(request.flags.verbose, 'FLEETCTL_VERBOSE', request.env);
  return freeze({ file, ...top, verbose, ...ssh, machines });
}

/** A host with the settings of environment and flags, without fleet.conf. Throws `config`; `by` is the origin of the text. */
export function readHost(
  host: string,
  request: ConfigRequest,
  by: '--tunnel' | 'ADDRESS',
): { readonly config: SshConfig; readonly machine: MachineConfig } {
  const config = readSsh(emptySection('ssh'), { directory: request.cwd, home: request.home }, request);
  return { config, machine: unlistedMachine(host, config, by) };
}

/**
 * The machine for `host`, `user@host` or `user@host:port`, with the settings of `[ssh]`. The host may be an alias of
 * ssh_config. `by` is the origin of the text. Throws FleetError `config`.
 */
export function unlistedMachine(
  text: string,
  ssh: SshConfig,
  by: '--tunnel' | 'ADDRESS' | 'MACHINE' | 'registry',
): MachineConfig {
  const [, user, place = ''] = /^(?:(.+)@)?([^@]+)$/.exec(text) ?? [];
  const address = parseAddress(place);
  if (address === undefined || (user !== undefined && parseUser(user) === undefined))
    throw configError(`"${by}" must be HOST, USER@HOST or USER@HOST:PORT: ${inQuotes(text)}`);
  return machineConfig(address.host, { address, ...(user !== undefined && { user }) }, ssh, undefined);
}

/** Reads `[ssh]`, environment and flags. */
function readSsh(section: Section, base: PathBase, { flags, env, cwd, home }: ConfigRequest): SshConfig {
  const override = readSection('ssh', overrideSection(flags, env), { directory: cwd, home });
  const own = withBecome(readSection('ssh', section, base), section);
  return {
    ssh: { ...own, ...override },
    override,
    askBecomePass: isFlagSet(flags.askBecomePass, 'FLEETCTL_ASK_BECOME_PASS', env),
  };
}

/** The defaults of the keys at the top. */
function defaults(file: string, base: PathBase): Partial<TopSettings> {
  return Object.fromEntries(
    keysOf('top').flatMap((key) => {
      const text = (file === SYSTEM_FILE ? key.systemDefault : undefined) ?? key.default;
      return text === undefined ? [] : [[key.name, readValue(key, text, base)]];
    }),
  );
}

/** The machines of a file. Throws `config` if it has none, and for a section that is neither a machine nor `[ssh]`. */
function machineSections(
  file: string,
  sections: ReadonlyMap<string, Section>,
): readonly (readonly [name: string, section: Section])[] {
  const machines: (readonly [string, Section])[] = [];
  for (const section of sections.values()) {
    if (section.name === '' || section.name === 'ssh') continue;
    const name = /^machine\.(.*)$/.exec(section.name)?.[1];
    if (name === undefined)
      throw configError(`${section.where} is not a known section`, sectionHint(section.name));
    if (!/^[a-z0-9][a-z0-9._-]*$/i.test(name))
      throw configError(
        `${section.where} must name a machine with letters, digits, "-", "_" and ".": ${inQuotes(name)}`,
      );
    machines.push([name, section]);
  }
  if (machines.length > 0) return machines;
  throw configError(
    `no machines in the configuration ${inQuotes(file)}`,
    `Add one, such as:\n${MINIMAL_FILE}`,
  );
}

function sectionHint(name: string): string {
  const [first = '', ...rest] = name.split('.');
  const near = nearest(first, ['ssh', 'machine']);
  const meant = near === 'machine' ? `[machine.${rest.join('.') || 'NAME'}]` : near && `[${near}]`;
  return `${meant === undefined ? '' : `Did you mean ${meant}? `}Sections are [ssh] and [machine.NAME]`;
}

function readMachine(name: string, section: Section, base: PathBase, ssh: SshConfig): MachineConfig {
  const own = withBecome(readSection('machine', section, base), section);
  const port = section.settings.get('port');
  if (port !== undefined && own.port !== (own.address.port ?? own.port))
    throw configError(`${port.where} differs from the port in "address": ${excerpt(port.value)}`);
  return machineConfig(name, own, ssh, section.settings.get('address'));
}

function machineConfig(
  name: string,
  own: MachineSettings,
  { ssh, override }: SshConfig,
  written: Setting | undefined,
): MachineConfig {
  const { address, metadata, voter, connect_to: local, port: ownPort, ...settings } = own;
  const shared = { host: address.host, port: address.port ?? ownPort };
  const { host, port } = local ?? shared;
  return {
    machine: { name, address: formatAddress(shared), metadata },
    host,
    isLocal: local !== undefined,
    settings: { ...ssh, ...settings, ...(port !== undefined && { port }), ...override },
    voter,
    written,
  };
}

/**
 * The settings to reach a machine of the cluster from this computer: those of its section, or of the section with its
 * address if it has another name, or of `[ssh]`.
 */
export function reachedMachine(
  machine: Machine,
  config: Pick<Config, 'machines'> & SshConfig,
): MachineConfig {
  const { machines } = config;
  const address = parseAddress(machine.address) ?? { host: machine.address, port: undefined };
  const own =
    machines.find((section) => section.machine.name === machine.name) ??
    machines.find((section) => isSameAddress(section.machine.address, machine.address));
  if (own === undefined) return { ...machineConfig(machine.name, { address }, config, undefined), machine };
  if (own.isLocal || own.machine.address === machine.address) return { ...own, machine };
  const { port: _, ...settings } = own.settings;
  const port = address.port ?? config.ssh.port;
  return {
    ...own,
    machine,
    host: address.host,
    settings: { ...settings, ...(port !== undefined && { port }) },
  };
}

/** `sudo = true` is an older spelling of `become = sudo`, `sudo = false` of `become = none`. */
function withBecome<S extends SshSettings | MachineSettings>(own: S, { settings }: Section): S {
  const twice = own.become !== undefined && settings.get('sudo');
  if (twice)
    throw configError(`${twice.where} is an older spelling of "become", which is also set`, 'Remove it');
  return own.sudo === undefined ? own : { ...own, become: own.sudo ? 'sudo' : 'none' };
}

function emptySection(name: string): Section {
  return { name, where: name, line: 0, settings: new Map() };
}

/** Freezes an object and everything in it. */
function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) freeze(inner);
  return Object.freeze(value);
}

/**
 * Rejects settings for etcd that would be ignored: TLS files without TLS, a certificate without its key, a user without a
 * password. Throws `config`.
 */
export function checkEtcdSettings(place: RegistryPlace, settings: EtcdSettings): void {
  if (place.kind !== 'etcd') return;
  const { etcd_ca_file: ca, etcd_cert_file: cert, etcd_key_file: key } = settings;
  if (!place.tls && (ca ?? cert ?? key) !== undefined) {
    throw configError(
      'etcd_ca_file, etcd_cert_file and etcd_key_file are for TLS, but "registry" is an etcd:// URL without TLS',
      'Write "registry = etcds://…"',
    );
  }
  requireBoth(settings, 'etcd_cert_file', 'etcd_key_file');
  requireBoth(settings, 'etcd_user', 'etcd_password_file');
}

/** Rejects a TCP port without TLS, unless it was allowed explicitly, and incomplete TLS files. Throws `config`. */
function checkListen(settings: ListenSettings): void {
  requireBoth(settings, 'listen_cert_file', 'listen_key_file');
  const { listen_cert_file: cert, listen_client_ca_file: clientCa, listen_insecure: insecure } = settings;
  if (clientCa !== undefined && cert === undefined)
    throw configError('listen_client_ca_file is for TLS', 'Add listen_cert_file and listen_key_file');
  const isOpen = cert === undefined && !insecure;
  for (const [key, right] of [
    ['listen', 'command the cluster'],
    ['listen_read_only', 'read every unit file'],
  ] as const) {
    const place = settings[key].find(({ kind }) => kind === 'tcp' && isOpen);
    if (place === undefined) continue;
    throw configError(
      `"${key}" has ${inQuotes(formatListenPlace(place))}, and without TLS everyone who can connect to it could ${right}`,
      'Add listen_cert_file and listen_key_file for TLS, and listen_client_ca_file to identify clients; or set listen_insecure = true',
    );
  }
}

function requireBoth<K extends string>(settings: Readonly<Partial<Record<K, string>>>, a: K, b: K): void {
  const [first, second] = [settings[a], settings[b]];
  if ((first === undefined) !== (second === undefined))
    throw configError(`${first === undefined ? b : a} requires ${first === undefined ? a : b}`);
}
