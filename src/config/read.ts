import { dirname, join } from 'node:path';
import { nearest } from '../base/nearest.ts';
import type { Config, ConfigRequest, MachineConfig, SshConfig } from './config.ts';
import { type MachineSection, readMachine, unlistedMachine, withBecome } from './inventory.ts';
import { type ApiSettings, checkListen, defaultListen } from './listen.ts';
import { MINIMAL_FILE, SYSTEM_FILE } from './locate.ts';
import { isAsked, overrideSection } from './override.ts';
import type { Section } from './parse.ts';
import { problem, quote } from './problem.ts';
import { checkEtcdSettings, type EtcdSettings, type RegistryPlace } from './registry-place.ts';
import { type Schemas, sectionSchemas, type TopSettings } from './schema.ts';
import { readSection } from './section.ts';

/** Makes a Config of a parsed file, the environment and the flags. `file` is absolute. */
export function readConfig(
  file: string,
  sections: ReadonlyMap<string, Section>,
  request: ConfigRequest,
): Config {
  const schemas = sectionSchemas({ directory: dirname(file), home: request.home });
  const ssh = readSsh(schemas, sections.get('ssh') ?? emptySection('ssh'), request);
  const top = readSection(schemas, schemas.top, sections.get('') ?? emptySection(''));
  const machines = machineSections(file, sections).map((each) => readMachine(schemas, each, ssh.layers));
  const registry = top.registry ?? defaultRegistry(file);
  const etcd = etcdSettings(top);
  checkEtcdSettings(registry, etcd);
  const api = apiSettings(file, top);
  checkListen(api);
  return freeze({
    file,
    registry,
    etcd,
    api,
    agentTtlMs: top.agent_ttl ?? 30_000,
    settleMs: top.settle ?? 500,
    cutOff: top.cut_off ?? 0.5,
    verbose: isAsked(request.flags.verbose, 'FLEETCTL_VERBOSE', request.env),
    ...ssh,
    machines,
  });
}

/** The way to the host of a controller, with the settings of environment and flags and no fleet.conf. Throws `config`. */
export function readTunnel(
  host: string,
  request: ConfigRequest,
): { readonly config: SshConfig; readonly machine: MachineConfig } {
  const { cwd, home } = request;
  const config = readSsh(sectionSchemas({ directory: cwd, home }), emptySection('ssh'), request);
  return { config, machine: unlistedMachine(host, config.layers, '--tunnel') };
}

/** Reads `[ssh]`, environment and flags. */
function readSsh(schemas: Schemas, section: Section, { flags, env, cwd, home }: ConfigRequest): SshConfig {
  const here = sectionSchemas({ directory: cwd, home });
  const override = readSection(here, here.ssh, overrideSection(flags, env));
  const ssh = withBecome(readSection(schemas, schemas.ssh, section), section);
  return {
    layers: { ssh, override },
    sshConfigFile: override.ssh_config ?? ssh.ssh_config,
    identityPassphraseFile: override.identity_passphrase_file ?? ssh.identity_passphrase_file,
    askBecomePass: isAsked(flags.askBecomePass, 'FLEETCTL_ASK_BECOME_PASS', env),
  };
}

/** The machines of a file. Throws `config` when it has none, and for a section that is no machine's nor `[ssh]`. */
function machineSections(file: string, sections: ReadonlyMap<string, Section>): readonly MachineSection[] {
  const machines: MachineSection[] = [];
  for (const section of sections.values()) {
    if (section.name === '' || section.name === 'ssh') continue;
    const name = /^machine\.(.*)$/.exec(section.name)?.[1];
    if (name === undefined)
      throw problem(`${section.where} is not a known section`, sectionHint(section.name));
    if (!/^[a-z0-9][a-z0-9._-]*$/i.test(name))
      throw problem(
        `${section.where} must name a machine with letters, digits, "-", "_" and ".": ${quote(name)}`,
      );
    machines.push({ name, section });
  }
  if (machines.length > 0) return machines;
  throw problem(`no machines in the configuration ${quote(file)}`, `Add one, such as:\n${MINIMAL_FILE}`);
}

function sectionHint(name: string): string {
  const [first = '', ...rest] = name.split('.');
  const near = nearest(first, ['ssh', 'machine']);
  const meant = near === 'machine' ? `[machine.${rest.join('.') || 'NAME'}]` : near && `[${near}]`;
  return `${meant === undefined ? '' : `Did you mean ${meant}? `}Sections are [ssh] and [machine.NAME]`;
}

/** Beside the file; the configuration of the whole system keeps its registry where state belongs (hier(7)). */
function defaultRegistry(file: string): RegistryPlace {
  const directory = file === SYSTEM_FILE ? '/var/lib/fleet/registry' : join(dirname(file), 'registry');
  return { kind: 'file', directory };
}

function etcdSettings(top: TopSettings): EtcdSettings {
  return {
    ...(top.etcd_ca_file !== undefined && { caFile: top.etcd_ca_file }),
    ...(top.etcd_cert_file !== undefined && { certFile: top.etcd_cert_file }),
    ...(top.etcd_key_file !== undefined && { keyFile: top.etcd_key_file }),
    ...(top.etcd_user !== undefined && { user: top.etcd_user }),
    ...(top.etcd_password_file !== undefined && { passwordFile: top.etcd_password_file }),
  };
}

function apiSettings(file: string, top: TopSettings): ApiSettings {
  return {
    listen: top.listen ?? defaultListen(file),
    listenReadOnly: top.listen_read_only ?? [],
    names: top.listen_names ?? [],
    certFile: top.listen_cert_file,
    keyFile: top.listen_key_file,
    clientCaFile: top.listen_client_ca_file,
    insecure: top.listen_insecure ?? false,
  };
}

function emptySection(name: string): Section {
  return { name, where: name, line: 0, settings: new Map() };
}

/** Freezes an object and everything in it. */
function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) freeze(inner);
  return Object.freeze(value);
}
