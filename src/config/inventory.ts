import type { Become } from '../ssh/become.ts';
import type { SshTarget } from '../ssh/target.ts';
import { endPoint, formatAddress } from './address.ts';
import type { Config, MachineConfig } from './config.ts';
import type { Section } from './parse.ts';
import { excerpt, problem } from './problem.ts';
import type { MachineSettings, Schemas, SshSettings } from './schema.ts';
import { readSection } from './section.ts';
import type { SshDefaults } from './ssh-defaults.ts';

/** What stands for what a machine's own section leaves out: `[ssh]`; and what beats both. */
export type Layers = {
  readonly ssh: SshSettings;
  readonly become: Become | undefined;
  readonly override: SshSettings;
  readonly defaults: SshDefaults;
};

/** A `[machine.NAME]` of a parsed file. */
export type MachineSection = { readonly name: string; readonly section: Section };

/** Reads the machines, in file order. Throws `config` for two machines with one end point. */
export function readMachines(
  schemas: Schemas,
  sections: readonly MachineSection[],
  layers: Layers,
): Pick<Config, 'machines' | 'sshConfigNotes'> {
  const seen = new Map<string, MachineSection>();
  const notes = new Set<string>();
  const machines = sections.map((each) => {
    const machine = readMachine(schemas, each, layers, notes);
    const key = placeOf(machine.ssh);
    const earlier = seen.get(key);
    if (earlier !== undefined) throw sameEndPoint(each.section, earlier);
    seen.set(key, each);
    return machine;
  });
  return { machines, sshConfigNotes: [...notes] };
}

/** Behind different jump hosts, one address is different machines. */
function placeOf({ host, port, via }: SshTarget): string {
  if (via.kind !== 'jump') return JSON.stringify([endPoint(host, port), via]);
  return JSON.stringify([endPoint(host, port), ...via.jumps.map(placeOf)]);
}

function readMachine(
  schemas: Schemas,
  { name, section }: MachineSection,
  layers: Layers,
  notes: Set<string>,
): MachineConfig {
  const own = readSection(schemas, schemas.machine, section);
  const settings = { ...layers.ssh, ...own, ...layers.override };
  const ownPort = portOf(own, section);
  const { host } = own.address;
  const { resolver, base } = layers.defaults;
  const given = { host, user: settings.user, port: ownPort ?? settings.port };
  const resolution = resolver.resolve({ ...given, base, always: alwaysOf(settings) });
  for (const note of resolution.notes) notes.add(note);
  const ssh = { ...resolution.target, ...identityOf(settings), name };
  return {
    machine: { name, address: formatAddress({ host, port: ownPort }), metadata: own.metadata ?? {} },
    ssh,
    become: ssh.user === 'root' ? 'none' : (becomeOf(own, section) ?? layers.become ?? 'sudo'),
    becomePasswordCommand: settings.become_password_command,
  };
}

/** The key of fleet.conf is the machine's alone: jump hosts have theirs in ssh_config. */
function identityOf({ identity_file: file }: SshSettings): Partial<SshTarget> {
  return file === undefined ? {} : { identityFiles: [file], identitiesOnly: true };
}

/** What fleet.conf says of every connection, on the way to the machine as well. */
function alwaysOf(settings: SshSettings): Partial<SshTarget> {
  const {
    strict_host_key_checking: checking,
    connect_timeout: connect,
    keepalive_timeout: keepalive,
  } = settings;
  const file = settings.known_hosts_file;
  return {
    ...(checking !== undefined && { strictHostKeyChecking: checking }),
    ...(settings.transport !== undefined && { transport: settings.transport }),
    ...(connect !== undefined && { connectTimeoutMs: connect }),
    ...(keepalive !== undefined && { keepaliveTimeoutMs: keepalive }),
    ...(file !== undefined && { userKnownHostsFiles: [file], hashKnownHosts: false }),
  };
}

/** What a section says of it: `sudo = true` is another spelling of `become = sudo`, `sudo = false` of `become = none`. */
export function becomeOf({ become, sudo }: SshSettings, { settings }: Section): Become | undefined {
  const twice = become !== undefined && settings.get('sudo');
  if (twice) throw problem(`${twice.where} is an older way to say "become", which is there too`, 'Remove it');
  return become ?? (sudo === undefined ? undefined : sudo ? 'sudo' : 'none');
}

/** The port that the section itself names, in its address or by its key. */
function portOf(own: MachineSettings, section: Section): number | undefined {
  const setting = section.settings.get('port');
  if (setting === undefined || own.address.port === undefined || own.port === own.address.port)
    return own.address.port ?? own.port;
  throw problem(`${setting.where} is not the port of its address: ${excerpt(setting.value)}`);
}

function sameEndPoint(section: Section, earlier: MachineSection) {
  const address = section.settings.get('address');
  const line = earlier.section.settings.get('address')?.line;
  return problem(
    `${address?.where} is already that of machine "${earlier.name}" on line ${line}: ${excerpt(address?.value ?? '')}`,
  );
}
