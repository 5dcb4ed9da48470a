import { join, resolve } from 'node:path';
import { endPoint, parseAddress } from './address.ts';

/** The base of a relative path: a folder, and the home folder that `~` expands to; both absolute. */
export type PathBase = { readonly directory: string; readonly home: string };

/** The format that {@link expandPath} reads, for messages. */
export function expectedPath(text: string): string {
  return text.startsWith('~') ? 'a path (only your own home folder can be written as ~)' : 'a path';
}

/**
 * Makes a path absolute. `~` and `~/…` are expanded, because no shell does that in a file. Undefined for an empty text
 * and for the home folder of another user (`~root/key`).
 */
export function expandPath(text: string, base: PathBase): string | undefined {
  if (text === '') return undefined;
  if (text === '~' || text.startsWith('~/')) return resolve(base.directory, join(base.home, text.slice(1)));
  return text.startsWith('~') ? undefined : resolve(base.directory, text);
}

/** The location of a registry: the machines themselves, a folder of this machine or of a controller's, or keys in etcd. */
export type RegistryPlace = MachinesPlace | FilePlace | RemotePlace | EtcdPlace;

export type MachinesPlace = { readonly kind: 'machines' };

export type FilePlace = { readonly kind: 'file'; readonly directory: string };

/** `host` is the name of a machine in the configuration, or USER@HOST[:PORT]. */
export type RemotePlace = { readonly kind: 'ssh'; readonly host: string; readonly directory: string };

export type EtcdPlace = {
  readonly kind: 'etcd';
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  /** The prefix of its keys: `/fleet`. */
  readonly prefix: string;
  readonly tls: boolean;
};

/** The text of one kind of place. */
type PlaceFormat<P extends RegistryPlace> = {
  readonly expected: string;
  /** Returns undefined for a text of another format. */
  parse(text: string, base: PathBase): P | undefined;
  format(place: P): string;
};

/** The port of etcd, registered with IANA. */
const ETCD_PORT = 2379;

const FORMATS: { readonly [P in RegistryPlace as P['kind']]: PlaceFormat<P> } = {
  machines: {
    expected: 'machines',
    parse: (text) => (text === 'machines' ? { kind: 'machines' } : undefined),
    format: () => 'machines',
  },
  file: {
    expected: 'file:PATH',
    parse(text, base) {
      // `file:///path` is a folder too, `file://host/path` is not.
      const path = /^file:(?!\/\/[^/])(.+)$/.exec(text)?.[1];
      const directory = path === undefined ? undefined : expandPath(path, base);
      return directory === undefined ? undefined : { kind: 'file', directory };
    },
    format: ({ directory }) => `file:${directory}`,
  },
  ssh: {
    expected: 'ssh://MACHINE/PATH',
    parse(text) {
      const [, host, directory] = /^ssh:\/\/([^/\s-][^/\s]*)(\/[^\0]+)$/.exec(text) ?? [];
      return host === undefined || directory === undefined ? undefined : { kind: 'ssh', host, directory };
    },
    format: ({ host, directory }) => `ssh://${host}${directory}`,
  },
  etcd: {
    expected: 'etcd://HOST:PORT,HOST:PORT/PREFIX (etcds:// with TLS)',
    parse: parseEtcd,
    format({ endpoints, prefix, tls }) {
      const list = endpoints.map(({ host, port }) => endPoint(host, port)).join(',');
      return `etcd${tls ? 's' : ''}://${list}${prefix}`;
    },
  },
};

const FORMAT_LIST: readonly PlaceFormat<RegistryPlace>[] = Object.values(FORMATS);

/** The formats of a registry in fleet.conf, for messages. */
export const EXPECTED_REGISTRY = FORMAT_LIST.map(({ expected }) => expected).join(' or ');

/** Reads a text of any of the formats; undefined for any other text. */
export function parseRegistryPlace(text: string, base: PathBase): RegistryPlace | undefined {
  return FORMAT_LIST.map((format) => format.parse(text, base)).find((place) => place !== undefined);
}

/** A place as it is written in fleet.conf. */
export function formatRegistryPlace(place: RegistryPlace): string {
  const format: PlaceFormat<RegistryPlace> = FORMATS[place.kind];
  return format.format(place);
}

/** The default prefix is `/fleet`; a slash at its end is ignored. */
function parseEtcd(text: string): EtcdPlace | undefined {
  const [, secure, list = '', prefix = '/fleet'] =
    /^etcd(s?):\/\/([^/]+)((?:\/[\w.@:-]+)+)?\/?$/.exec(text) ?? [];
  if (secure === undefined) return undefined;
  const addresses = list.split(',').map((address) => parseAddress(address.trim()));
  const endpoints = addresses.flatMap((address) =>
    address === undefined ? [] : [{ host: address.host, port: address.port ?? ETCD_PORT }],
  );
  if (endpoints.length < addresses.length) return undefined;
  return { kind: 'etcd', endpoints, prefix, tls: secure === 's' };
}

/** A socket on which a controller listens. */
export type ListenPlace =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export const EXPECTED_LISTEN = 'none, or a comma-separated list of unix:PATH and HOST:PORT';

/** Reads `unix:PATH, HOST:PORT`, or `none`; undefined for other text. */
export function parseListen(text: string, base: PathBase): readonly ListenPlace[] | undefined {
  if (text === 'none') return [];
  const places = text.split(',').map((each) => parseListenPlace(each.trim(), base));
  const known = places.filter((place) => place !== undefined);
  return known.length === places.length ? known : undefined;
}

/** Reads comma-separated DNS names; undefined for other text. */
export function parseNames(text: string): readonly string[] | undefined {
  const names = text.split(',').map((name) => name.trim().toLowerCase());
  return names.every((name) => /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name)) ? names : undefined;
}

/** A place as it is written in fleet.conf. */
export function formatListenPlace(place: ListenPlace): string {
  return place.kind === 'unix' ? `unix:${place.path}` : endPoint(place.host, place.port);
}

function parseListenPlace(text: string, base: PathBase): ListenPlace | undefined {
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/.exec(text)?.[1];
  if (path !== undefined) {
    const absolute = expandPath(path, base);
    return absolute === undefined ? undefined : { kind: 'unix', path: absolute };
  }
  const address = parseAddress(text);
  return address?.port === undefined ? undefined : { kind: 'tcp', host: address.host, port: address.port };
}
