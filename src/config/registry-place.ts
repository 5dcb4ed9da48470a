import { endPoint, parseAddress } from './address.ts';
import { expandPath, type PathBase } from './path.ts';
import { problem, quote } from './problem.ts';

/** How to get into etcd; files by their absolute paths, read when they are needed. */
export type EtcdSettings = {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly user?: string;
  readonly passwordFile?: string;
};

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

/**
 * Refuses settings for etcd that do not go with a place, since each of them would be ignored in silence: keys of TLS
 * where there is none, a certificate without its key, a user without a password. Throws `config`.
 */
export function checkEtcdSettings(place: RegistryPlace, settings: EtcdSettings): void {
  if (place.kind !== 'etcd') return;
  const { caFile, certFile, keyFile, user, passwordFile } = settings;
  if (!place.tls && (caFile ?? certFile ?? keyFile) !== undefined) {
    throw problem(
      'etcd_ca_file, etcd_cert_file and etcd_key_file are for TLS, and the registry is reached without',
      'Write "registry = etcds://…"',
    );
  }
  if ((certFile === undefined) !== (keyFile === undefined))
    throw problem(
      `etcd_cert_file and etcd_key_file go together: ${quote(certFile ?? keyFile ?? '')} is alone`,
    );
  if ((user === undefined) !== (passwordFile === undefined))
    throw problem(
      `etcd_user and etcd_password_file go together: ${quote(user ?? passwordFile ?? '')} is alone`,
    );
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
