import { parseDuration } from '../base/time.ts';
import { parseMetadata } from '../machine/machine.ts';
import { parseAddress, parsePort, parseUser } from './address.ts';
import {
  EXPECTED_LISTEN,
  EXPECTED_REGISTRY,
  expandPath,
  expectedPath,
  type PathBase,
  parseListen,
  parseNames,
  parseRegistryPlace,
} from './places.ts';
import type { Key, SectionKind, TypedKeyRow } from './settings.ts';

/** A type of values. `read` returns undefined for an invalid text; relative paths are relative to `base`. */
type ValueType<T> = {
  readonly expected: string | ((text: string, key: Key) => string);
  read(text: string, base: PathBase, key: Key): T | undefined;
};

const value = <T>(expected: ValueType<T>['expected'], read: ValueType<T>['read']): ValueType<T> => ({
  expected,
  read,
});

const VALUE_TYPES = {
  address: value('host, host:port or [IPv6]:port', parseAddress),
  become: value('sudo, doas or none', oneOf('sudo', 'doas', 'none')),
  boolean: value('true or false', parseBoolean),
  command: value('a command', (text) => text || undefined),
  /** In ms, within the bounds of the setting. */
  duration: value(
    (_, { bounds: [from, to] = ['', ''], default: example }) =>
      `a duration from ${from} to ${to}, such as ${example}`,
    (text, _, { bounds = [] }) => {
      const [ms, min = 0, max = 0] = [text, ...bounds].map(parseDuration);
      return ms !== undefined && ms >= min && ms <= max ? ms : undefined;
    },
  ),
  /** etcd accepts almost any text as a name. */
  'etcd-user': value('an etcd user', (text) => (/^[^\p{Cc}]+$/u.test(text) ? text : undefined)),
  'host-key-checking': value(expectedHostKeyChecking, parseHostKeyChecking),
  listen: value(EXPECTED_LISTEN, parseListen),
  metadata: value(expectedMetadata, readMetadata),
  names: value('comma-separated host names', parseNames),
  path: value(expectedPath, expandPath),
  'path-or-none': value(expectedPath, (text, base) => (text === 'none' ? text : expandPath(text, base))),
  percentage: value('a percentage from 1% to 100%, such as 50%', parsePercentage),
  port: value('a port from 1 to 65535', parsePort),
  registry: value(EXPECTED_REGISTRY, parseRegistryPlace),
  transport: value('ssh2 or openssh', oneOf('ssh2', 'openssh')),
  user: value('a user name', parseUser),
  'yes-no': value('yes or no', parseYesNo),
} as const satisfies Readonly<Record<Key['type'], ValueType<unknown>>>;

type ValueOf<R extends TypedKeyRow> =
  (typeof VALUE_TYPES)[R['key'][2]] extends ValueType<infer T> ? T : never;

/** The settings of a section by their keys; durations in ms, paths absolute. */
export type Settings<S extends SectionKind> = {
  readonly [R in TypedKeyRow as S extends R['key'][1][number] ? R['key'][0] : never]?: ValueOf<R>;
};
type WithDefault = Extract<
  TypedKeyRow,
  { readonly key: readonly [string, readonly ['top'], string]; readonly default: string }
>['key'][0];
/** The settings at the top of fleet.conf, with defaults. */
export type TopSettings = Settings<'top'> & Required<Pick<Settings<'top'>, WithDefault>>;
export type SshSettings = Settings<'ssh'>;
export type MachineSettings = Settings<'machine'> & Required<Pick<Settings<'machine'>, 'address'>>;

/** The settings of each kind of section. */
export type SectionSettings = {
  readonly top: Settings<'top'>;
  readonly ssh: SshSettings;
  readonly machine: MachineSettings;
};

type StartingWith<P extends string> = {
  readonly [K in keyof TopSettings as K extends `${P}${string}` ? K : never]: TopSettings[K];
};
/** The credentials for etcd; the files are read when they are needed. */
export type EtcdSettings = StartingWith<'etcd_'>;
/** The sockets of the API, and its TLS settings. */
export type ListenSettings = StartingWith<'listen'>;

/** Reads a value of a setting; undefined for a text that does not have the {@link expectedValue} format. */
export function readValue(key: Key, text: string, base: PathBase): unknown {
  return VALUE_TYPES[key.type].read(text, base, key);
}

/** The format of a value, for messages. */
export function expectedValue(key: Key, text: string): string {
  const { expected } = VALUE_TYPES[key.type];
  return typeof expected === 'string' ? expected : expected(text, key);
}

function oneOf<const T extends string>(...words: readonly T[]): (text: string) => T | undefined {
  return (text) => words.find((word) => word === text);
}

/** `50%` → 0.5 */
function parsePercentage(text: string): number | undefined {
  const percent = Number(/^(\d{1,3})%$/.exec(text)?.[1]);
  return percent >= 1 && percent <= 100 ? percent / 100 : undefined;
}

export function parseBoolean(text: string): boolean | undefined {
  return text === 'true' || text === 'false' ? text === 'true' : undefined;
}

function parseYesNo(text: string): boolean | undefined {
  return text === 'yes' || text === 'no' ? text === 'yes' : undefined;
}

/** `yes` means `ask`; without a terminal, an unknown host is refused. */
function parseHostKeyChecking(text: string): 'ask' | 'accept-new' | undefined {
  if (text === 'ask' || text === 'yes') return 'ask';
  return text === 'accept-new' ? text : undefined;
}

function expectedHostKeyChecking(text: string): string {
  const off = ['no', 'off', 'false'].includes(text.toLowerCase());
  return `ask, yes or accept-new${off ? ' (host keys are always verified)' : ''}`;
}

function readMetadata(text: string) {
  const result = parseMetadata(text);
  return result.kind === 'metadata' ? result.metadata : undefined;
}

function expectedMetadata(text: string): string {
  const result = parseMetadata(text);
  const detail = result.kind === 'malformed' ? ` (${result.expected}, not "${result.pair}")` : '';
  return `pairs such as region=eu,disk=ssd${detail}`;
}
