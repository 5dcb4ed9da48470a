import { sha256 } from '../base/hash.ts';
import { formatDuration } from '../base/time.ts';
import { endPoint, parseAddress } from '../config/address.ts';
import type { Config, MachineConfig } from '../config/config.ts';
import { writtenValue } from '../config/edit.ts';
import {
  formatListenPlace,
  formatRegistryPlace,
  type ListenPlace,
  type RegistryPlace,
} from '../config/places.ts';
import { keysOf } from '../config/settings.ts';
import type { Access } from '../ssh/become.ts';
import { LAYOUT } from './files.ts';

const MARK = '; Written by "fleetctl controller install" for ';
const SUM = '; SHA-256 of what follows: ';

/** A file that the configuration names, which is copied to the host. */
export type NamedFile = { readonly key: string; readonly from: string; readonly to: string };

/** A machine with the settings of the operator's connection. */
type ReachedMachine = MachineConfig & Pick<Access, 'ssh' | 'become'>;

/** The configuration of a controller, and the files that it needs. */
export type ControllerConf = { readonly text: string; readonly files: readonly NamedFile[] };

/**
 * The configuration of the controller: the cluster of `config`, with the controller's key and host keys. It contains all
 * connection settings, because the controller's user has no ssh_config. `registry` is the place as seen from the host.
 */
export function controllerConf(
  config: Config & { readonly machines: readonly ReachedMachine[] },
  registry: RegistryPlace,
): ControllerConf {
  const files = keysOf('top').flatMap(({ name: key, type }): readonly NamedFile[] => {
    const from = type === 'path' && key in config ? config[key as keyof Config] : undefined;
    return typeof from === 'string' ? [{ key, from, to: `${LAYOUT.secrets}/${key}` }] : [];
  });
  const portsOf = (places: readonly ListenPlace[]): readonly string[] =>
    places.filter(({ kind }) => kind === 'tcp').map(formatListenPlace);
  const body = [
    ...settings({
      registry: formatRegistryPlace(registry),
      agent_ttl: formatDuration(config.agent_ttl),
      settle: formatDuration(config.settle),
      cut_off: `${Math.round(config.cut_off * 100)}%`,
      listen: [`unix:${LAYOUT.socket}`, ...portsOf(config.listen)].join(', '),
      listen_read_only: portsOf(config.listen_read_only).join(', ') || undefined,
      listen_names: config.listen_names?.join(', '),
      listen_insecure: config.listen_insecure ? 'true' : undefined,
      etcd_user: config.etcd_user,
      ...Object.fromEntries(files.map(({ key, to }) => [key, to])),
    }),
    '',
    '[ssh]',
    ...settings({ identity_file: LAYOUT.key, known_hosts_file: LAYOUT.knownHosts, ssh_config: 'none' }),
    ...config.machines.flatMap(machineSection),
    '',
  ].join('\n');
  return { text: `${MARK}${config.file}\n${SUM}${sha256(body)}\n${body}`, files };
}

/** Whether a text of {@link controllerConf} is unchanged; undefined for any other text. */
export function isUntouched(text: string): boolean | undefined {
  const [first = '', second = '', ...body] = text.split('\n');
  if (!first.startsWith(MARK)) return undefined;
  return second === `${SUM}${sha256(body.join('\n'))}`;
}

function machineSection({ machine, settings: own, ssh, become, voter }: ReachedMachine): readonly string[] {
  const written = parseAddress(machine.address);
  const isPlain = written?.host === ssh.host && (written.port ?? 22) === ssh.port;
  const metadata = Object.entries(machine.metadata ?? {}).map(([key, value]) => `${key}=${value}`);
  return [
    '',
    `[machine.${machine.name}]`,
    ...settings({
      address: machine.address,
      metadata: metadata.length === 0 ? undefined : metadata.join(','),
      voter: voter === undefined ? undefined : voter ? 'yes' : 'no',
      // The controller has no ssh_config.
      connect_to: isPlain ? undefined : endPoint(ssh.host, ssh.port),
      user: ssh.user,
      become: ssh.user === 'root' ? undefined : become,
      become_password_command: own.become_password_command,
      transport: ssh.transport === 'ssh2' ? undefined : ssh.transport,
      connect_timeout: formatDuration(ssh.connectTimeoutMs),
      keepalive_timeout: formatDuration(ssh.keepaliveTimeoutMs),
    }),
  ];
}

function settings(values: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} = ${writtenValue(value)}`],
  );
}
