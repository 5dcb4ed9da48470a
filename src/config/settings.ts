/** The sections of fleet.conf: the keys before the first header, `[ssh]`, and `[machine.NAME]`. */
export type SectionKind = 'top' | 'ssh' | 'machine';

/** A key of fleet.conf. */
type KeyRow = {
  /** Its name, the sections that may have it, and the type of its values in `values.ts`. */
  readonly key: readonly [name: string, sections: readonly SectionKind[], type: string];
  /** The limits of a duration. */
  readonly bounds?: readonly [from: string, to: string];
  readonly required?: true;
  /** The default, as it would be written. */
  readonly default?: string;
  /** The default in /etc/fleet/fleet.conf, because its state belongs elsewhere (hier(7)). */
  readonly systemDefault?: string;
  /** The behaviour without a value, in Markdown, if there is no fixed default. */
  readonly unset?: string;
  /** The text of the manual, in Markdown. The build leaves it out. */
  readonly manual: string;
};

/** A key with an option that sets it, which has a value. */
type SettingRow = KeyRow & { readonly option: readonly [flags: `${string}<${string}>`, description: string] };

/** A global option. Its variable is named after it: `--ssh-timeout` is FLEETCTL_SSH_TIMEOUT. */
type OptionRow = { readonly option: readonly [flags: string, description: string]; readonly key?: never };

/** An option of fleetctl and of fleetd. */
export const CONFIG_OPTION = [
  '--config <file>',
  'use this fleet.conf instead of the first one found',
] as const;

const TOP = ['top'] as const;
const SSH = ['ssh'] as const;
const MACHINE = ['machine'] as const;
const EACH = ['ssh', 'machine'] as const;

/**
 * All settings. The reader of fleet.conf, environment variables, options, help and completion use this table, and
 * `npm run docs` writes the tables of the manual from it.
 */
export const SETTINGS = [
  { option: ['-q, --quiet', 'suppress progress and success messages'] },
  { option: CONFIG_OPTION },
  {
    option: [
      '--endpoint <where>',
      'let the fleetd at unix:///PATH or http(s)://HOST:PORT answer lists and execute commands; none: ask the machines',
    ],
  },
  {
    option: [
      '--tunnel <host>',
      'like --endpoint, with the fleetd on this host, over SSH: HOST, USER@HOST:PORT or an alias of ssh_config',
    ],
  },
  {
    key: ['registry', TOP, 'registry'],
    default: 'file:registry',
    systemDefault: 'file:/var/lib/fleet/registry',
    manual:
      'Where the registry is kept: in a folder (`file:PATH`), or at a place for [several operators](operators.md).',
  },
  {
    key: ['agent_ttl', TOP, 'duration'],
    bounds: ['1s', '24h'],
    default: '30s',
    manual: 'How long a machine may be unreachable before its units may move.',
  },
  {
    key: ['settle', TOP, 'duration'],
    bounds: ['0ms', '1m'],
    default: '500ms',
    manual: 'How long a started unit is watched before it counts as up.',
  },
  {
    key: ['cut_off', TOP, 'percentage'],
    default: '50%',
    manual:
      'If more than this share of the machines is unreachable at the same time, fleet assumes that your own network has failed, and moves nothing.',
  },
  {
    key: ['listen', TOP, 'listen'],
    default: 'unix:fleet.sock',
    systemDefault: 'unix:/run/fleet.sock',
    manual:
      'Where `fleetd` serves its [API](api.md): a comma-separated list of `unix:PATH` and `HOST:PORT`, or `none`.',
  },
  {
    key: ['listen_read_only', TOP, 'listen'],
    default: 'none',
    manual: 'Where `fleetd` answers only GET, for Prometheus and lists. The format is that of `listen`.',
  },
  {
    key: ['listen_names', TOP, 'names'],
    manual:
      'Comma-separated names by which clients reach `HOST:PORT` without TLS. Addresses, `localhost`, the name of the host and the names in `listen` are always accepted.',
  },
  {
    key: ['listen_cert_file', TOP, 'path'],
    manual: 'The certificate for `HOST:PORT`, in PEM.',
  },
  {
    key: ['listen_key_file', TOP, 'path'],
    manual: 'The private key of that certificate.',
  },
  {
    key: ['listen_client_ca_file', TOP, 'path'],
    manual: 'Clients must present a certificate of this CA.',
  },
  {
    key: ['listen_insecure', TOP, 'boolean'],
    default: 'false',
    manual: '`true` allows `HOST:PORT` without TLS. Everyone who reaches the port then controls the cluster.',
  },
  {
    key: ['etcd_ca_file', TOP, 'path'],
    unset: 'the CAs of the system',
    manual: "With `etcds://`: the CA of etcd's certificates, in PEM.",
  },
  {
    key: ['etcd_cert_file', TOP, 'path'],
    manual: 'With `etcds://`: the client certificate for etcd, in PEM.',
  },
  {
    key: ['etcd_key_file', TOP, 'path'],
    manual: 'The private key of that certificate.',
  },
  {
    key: ['etcd_user', TOP, 'etcd-user'],
    manual: 'The etcd user. Without it, requests carry no user.',
  },
  {
    key: ['etcd_password_file', TOP, 'path'],
    manual: 'A file whose first line is the password of that user.',
  },
  {
    key: ['address', MACHINE, 'address'],
    required: true,
    manual:
      '`host`, `host:port` or `[v6]:port`, or a name from your ssh_config. The column IP of lists shows it.',
  },
  {
    key: ['metadata', MACHINE, 'metadata'],
    manual: 'Comma-separated `key=value` pairs, which units can ask for.',
  },
  {
    key: ['connect_to', MACHINE, 'address'],
    unset: '`address`',
    manual: 'The address to which this computer connects, for example through a VPN or a forwarded port.',
  },
  {
    key: ['user', EACH, 'user'],
    unset: '`User` of ssh_config, else your user name',
    manual: 'The user who logs in.',
    option: ['--ssh-username <user>', 'log in to every machine as this user'],
  },
  {
    key: ['identity_file', EACH, 'path'],
    unset: '`IdentityFile` of ssh_config, else `~/.ssh/id_ed25519`, `id_ecdsa`, `id_rsa`, then the agent',
    manual: 'The private key.',
    option: ['--ssh-identity-file <file>', 'private key for every machine'],
  },
  {
    key: ['become', EACH, 'become'],
    default: 'sudo',
    manual: 'How a user other than root gets root rights: `sudo`, `doas` or `none`.',
  },
  {
    key: ['sudo', EACH, 'boolean'],
    manual: 'An older spelling: `true` means `become = sudo`, `false` means `become = none`.',
  },
  {
    key: ['become_password_command', EACH, 'command'],
    manual:
      'A command that prints the sudo password on its first line. `/bin/sh` runs it on this computer, once, when a machine asks for the password.',
  },
  { option: ['-K, --ask-become-pass', 'ask once for the sudo password of the machines'] },
  {
    key: ['strict_host_key_checking', EACH, 'host-key-checking'],
    default: 'ask',
    manual:
      '`accept-new` accepts the keys of machines that were never seen before. Changed keys are always refused.',
    option: [
      '--strict-host-key-checking <mode>',
      'ask about new host keys, or accept-new; changed keys are always refused',
    ],
  },
  {
    key: ['transport', EACH, 'transport'],
    default: 'ssh2',
    manual: '`openssh` connects with the installed `ssh`; see [connecting](connecting.md).',
  },
  {
    key: ['connect_timeout', EACH, 'duration'],
    bounds: ['100ms', '10m'],
    default: '5s',
    manual: 'The time limit from the first packet to a session.',
    option: ['--ssh-timeout <duration>', 'time limit for a connection: 500ms, 5s, 1m'],
  },
  {
    key: ['keepalive_timeout', EACH, 'duration'],
    bounds: ['1s', '1h'],
    default: '15s',
    manual: 'How long a machine may send nothing while a command runs.',
  },
  {
    key: ['port', EACH, 'port'],
    unset: '`Port` of ssh_config, else `22`',
    manual: 'The port of the SSH server.',
  },
  {
    key: ['voter', MACHINE, 'yes-no'],
    unset: 'fleet chooses',
    manual:
      'With `registry = machines`: whether this machine shall store the registry. Use the same values in every fleet.conf of the cluster.',
  },
  {
    key: ['known_hosts_file', SSH, 'path'],
    unset: 'see [connecting](connecting.md)',
    manual: 'The only file of host keys to use, in the format of OpenSSH.',
    option: ['--known-hosts-file <file>', 'host keys of the machines, in OpenSSH format'],
  },
  {
    key: ['identity_passphrase_file', SSH, 'path'],
    unset: 'asked on a terminal',
    manual: 'A file with the passphrase of encrypted private keys.',
    option: [
      '--identity-passphrase-file <file>',
      'file whose first line is the passphrase of encrypted keys',
    ],
  },
  {
    key: ['ssh_config', SSH, 'path-or-none'],
    unset: 'the files of ssh',
    manual: 'A file to read instead of `~/.ssh/config` and `/etc/ssh/ssh_config`, or `none`.',
    option: ['--ssh-config <file>', "read this file instead of ssh's configuration; none: read no file"],
  },
  {
    option: [
      '-v, --verbose',
      'show which lines of ssh_config are ignored, and how files differ from the registry',
    ],
  },
] as const satisfies readonly ((KeyRow & { readonly option?: never }) | OptionRow | SettingRow)[];

type Row = (typeof SETTINGS)[number];
export type TypedKeyRow = Extract<Row, { readonly key: unknown }>;

/** A key of fleet.conf. */
export type Key = Omit<KeyRow, 'key'> & {
  readonly name: TypedKeyRow['key'][0];
  readonly sections: readonly SectionKind[];
  readonly type: TypedKeyRow['key'][2];
};

/** The keys of a section. */
export function keysOf(section: SectionKind): readonly Key[] {
  return SETTINGS.flatMap((row): readonly Key[] => {
    if (!('key' in row)) return [];
    const [name, sections, type] = row.key;
    return sections.some((each) => each === section) ? [{ ...row, name, sections, type }] : [];
  });
}

/** The global options, in the order of help. */
export const GLOBAL_OPTIONS: readonly { readonly flags: string; readonly description: string }[] =
  SETTINGS.flatMap((row) => ('option' in row ? [{ flags: row.option[0], description: row.option[1] }] : []));

/** `--ssh-timeout <duration>` → `--ssh-timeout`, FLEETCTL_SSH_TIMEOUT, and sshTimeout (the property in commander). */
export function namesOfOption(flags: string): {
  readonly flag: string;
  readonly variable: string;
  readonly property: string;
} {
  const flag = /--[a-z-]+/.exec(flags)?.[0] ?? '';
  const name = flag.slice(2);
  return {
    flag,
    variable: `FLEETCTL_${name.toUpperCase().replaceAll('-', '_')}`,
    property: name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  };
}

type Option = Extract<Row, { readonly option: unknown }>['option'][0];
type CamelCase<T extends string> = T extends `${infer A}-${infer B}` ? `${A}${Capitalize<CamelCase<B>>}` : T;
type Property<O extends string> = O extends `${string}--${infer Name} <${string}`
  ? CamelCase<Name>
  : O extends `${string}--${infer Name}`
    ? CamelCase<Name>
    : never;

/** The global options of a command line; undefined or missing if an option was not given. */
export type ConfigFlags = {
  readonly [O in Option as Property<O>]?: (O extends `${string}<${string}` ? string : boolean) | undefined;
};
