import { join, resolve } from 'node:path';
import { endPoint, parseAddress } from './address.ts';

/** What a path is relative to, both absolute: a folder, and the home folder that `~` stands for. */
export type PathBase = { readonly directory: string; readonly home: string };

/** How a message describes what {@link expandPath} reads. */
export function expectedPath(text: string): string {
  return text.startsWith('~') ? 'a path (only your own home folder can be written as ~)' : 'a path';
}

/**
 * A path as a person writes it → an absolute one. `~` and `~/…` are expanded, as no shell does that in a file;
 * undefined for an empty text and for the home folder of another user (`~root/key`).
 */
export function expandPath(text: string, base: PathBase): string | undefined {
  if (text === '') return undefined;
  if (text === '~' || text.startsWith('~/')) return resolve(base.directory, join(base.home, text.slice(1)));
  return text.startsWith('~') ? undefined : resolve(base.directory, text);
}

/** Where a registry is: a folder of this machine or of a controller's, or keys of an etcd. */
export type RegistryPlace = FilePlace | RemotePlace | EtcdPlace;

export type FilePlace = { readonly kind: 'file'; readonly directory: string };

/** `host` is a machine of the configuration by its name, or USER@HOST[:PORT]. */
export type RemotePlace = { readonly kind: 'ssh'; readonly host: string; readonly directory: string };

export type EtcdPlace = {
  readonly kind: 'etcd';
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  /** What its keys start with: `/fleet`. */
  readonly prefix: string;
  readonly tls: boolean;
};

export const EXPECTED_REGISTRY =
  'file:PATH, ssh://MACHINE/PATH, or etcd://HOST:PORT,HOST:PORT/PREFIX (etcds:// with TLS)';

/** The port of etcd, registered with IANA. */
const ETCD_PORT = 2379;

/** Reads `file:PATH`, `ssh://…`, `etcd://…` or `etcds://…`; undefined for anything else. */
export function parseRegistryPlace(text: string, base: PathBase): RegistryPlace | undefined {
  // `file:///path` is a folder too, `file://host/path` is not.
  const path = /^file:(?!\/\/[^/])(.+)$/.exec(text)?.[1];
  const directory = path === undefined ? undefined : expandPath(path, base);
  if (directory !== undefined) return { kind: 'file', directory };
  const [, host, remote] = /^ssh:\/\/([^/\s-][^/\s]*)(\/[^\0]+)$/.exec(text) ?? [];
  if (host !== undefined && remote !== undefined) return { kind: 'ssh', host, directory: remote };
  return parseEtcd(text);
}

/** A place as fleet.conf has it. */
export function formatRegistryPlace(place: RegistryPlace): string {
  if (place.kind === 'file') return `file:${place.directory}`;
  if (place.kind === 'ssh') return `ssh://${place.host}${place.directory}`;
  const endpoints = place.endpoints.map(({ host, port }) => endPoint(host, port)).join(',');
  return `etcd${place.tls ? 's' : ''}://${endpoints}${place.prefix}`;
}

/** Without a prefix it is `/fleet`; a slash at its end means nothing. */
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

/** Where a controller can be asked. */
export type ListenPlace =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export const EXPECTED_LISTEN = 'none, or a list of unix:PATH and HOST:PORT, with commas';

/** Reads `unix:PATH, HOST:PORT`, or `none`; undefined for anything else. */
export function parseListen(text: string, base: PathBase): readonly ListenPlace[] | undefined {
  if (text === 'none') return [];
  const places = text.split(',').map((each) => parsePlace(each.trim(), base));
  const known = places.filter((place) => place !== undefined);
  return known.length === places.length ? known : undefined;
}

/** Reads names of hosts as DNS has them, with commas; undefined for anything else. */
export function parseNames(text: string): readonly string[] | undefined {
  const names = text.split(',').map((name) => name.trim().toLowerCase());
  return names.every((name) => /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name)) ? names : undefined;
}

/** A place as people write it. */
export function formatPlace(place: ListenPlace): string {
  return place.kind === 'unix' ? `unix:${place.path}` : endPoint(place.host, place.port);
}

function parsePlace(text: string, base: PathBase): ListenPlace | undefined {
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/.exec(text)?.[1];
  if (path !== undefined) {
    const absolute = expandPath(path, base);
    return absolute === undefined ? undefined : { kind: 'unix', path: absolute };
  }
  const address = parseAddress(text);
  return address?.port === undefined ? undefined : { kind: 'tcp', host: address.host, port: address.port };
}
