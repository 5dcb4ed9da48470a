import type { Become } from '../ssh/become.ts';
import { TARGET_DEFAULTS } from '../ssh/target.ts';
import { endPoint, formatAddress } from './address.ts';
import type { MachineConfig } from './config.ts';
import type { Section } from './parse.ts';
import { excerpt, problem } from './problem.ts';
import type { MachineSettings, Schemas, SshSettings } from './schema.ts';
import { readSection } from './section.ts';

/** What stands for what a machine's own section leaves out: `[ssh]`; and what beats both. */
export type Layers = {
  readonly ssh: SshSettings;
  readonly become: Become | undefined;
  readonly override: SshSettings;
  readonly localUser: string;
  readonly agentSocket: string | undefined;
  readonly knownHostsFile: string;
};

/** A `[machine.NAME]` of a parsed file. */
export type MachineSection = { readonly name: string; readonly section: Section };

/** Reads the machines, in file order. Throws `config` for two machines with one end point. */
export function readMachines(
  schemas: Schemas,
  sections: readonly MachineSection[],
  layers: Layers,
): readonly MachineConfig[] {
  const seen = new Map<string, MachineSection>();
  return sections.map((each) => {
    const machine = readMachine(schemas, each, layers);
    const key = endPoint(machine.ssh.host, machine.ssh.port);
    const earlier = seen.get(key);
    if (earlier !== undefined) throw sameEndPoint(each.section, earlier);
    seen.set(key, each);
    return machine;
  });
}

function readMachine(schemas: Schemas, { name, section }: MachineSection, layers: Layers): MachineConfig {
  const own = readSection(schemas, schemas.machine, section);
  const settings = { ...layers.ssh, ...own, ...layers.override };
  const ownPort = portOf(own, section);
  const user = settings.user ?? layers.localUser;
  const { host } = own.address;
  return {
    machine: { name, address: formatAddress({ host, port: ownPort }), metadata: own.metadata ?? {} },
    ssh: {
      ...TARGET_DEFAULTS,
      name,
      host,
      port: ownPort ?? settings.port ?? TARGET_DEFAULTS.port,
      user,
      identityFiles: settings.identity_file === undefined ? [] : [settings.identity_file],
      identitiesOnly: settings.identity_file !== undefined,
      identityAgent: layers.agentSocket,
      userKnownHostsFiles: [layers.knownHostsFile],
      strictHostKeyChecking: settings.strict_host_key_checking ?? TARGET_DEFAULTS.strictHostKeyChecking,
      connectTimeoutMs: settings.connect_timeout ?? TARGET_DEFAULTS.connectTimeoutMs,
      keepaliveTimeoutMs: settings.keepalive_timeout ?? TARGET_DEFAULTS.keepaliveTimeoutMs,
    },
    become: user === 'root' ? 'none' : (becomeOf(own, section) ?? layers.become ?? 'sudo'),
    becomePasswordCommand: settings.become_password_command,
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
