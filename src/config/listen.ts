import { dirname, join } from 'node:path';
import { sha256 } from '../base/hash.ts';
import type { Machine } from '../machine/machine.ts';
import { endPoint, parseAddress } from './address.ts';
import { SYSTEM_FILE } from './locate.ts';
import { expandPath, type PathBase } from './path.ts';
import { problem, quote } from './problem.ts';
import type { RegistryPlace } from './registry-place.ts';

/** Where a controller can be asked. */
export type ListenPlace =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Where a controller can be asked over HTTP, and what over TCP guards it; files by their absolute paths. */
export type ApiSettings = {
  readonly listen: readonly ListenPlace[];
  /** Where it can be asked and nothing can be changed. */
  readonly listenReadOnly: readonly ListenPlace[];
  /** What clients over plain TCP may call it, beside addresses, `localhost`, the name of the host and those of the places. */
  readonly names: readonly string[];
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Clients have to show a certificate of this CA. */
  readonly clientCaFile: string | undefined;
  /** Whether TCP may do without TLS. */
  readonly insecure: boolean;
};

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

/** Without `listen`: beside the file; for the configuration of the whole system where sockets belong (hier(7)). */
export function defaultListen(file: string): readonly ListenPlace[] {
  return [
    { kind: 'unix', path: file === SYSTEM_FILE ? '/run/fleet.sock' : join(dirname(file), 'fleet.sock') },
  ];
}

/**
 * Refuses what would leave a cluster open to everybody who reaches a port, and files of TLS that lack one another.
 * Throws `config`.
 */
export function checkListen(settings: ApiSettings): void {
  const { listen, listenReadOnly, certFile, keyFile, clientCaFile, insecure } = settings;
  if ((certFile === undefined) !== (keyFile === undefined))
    throw problem(
      `listen_cert_file and listen_key_file go together: ${quote(certFile ?? keyFile ?? '')} is alone`,
    );
  if (clientCaFile !== undefined && certFile === undefined)
    throw problem('listen_client_ca_file is for TLS', 'Add listen_cert_file and listen_key_file');
  const open = certFile === undefined && !insecure;
  for (const [key, places, right] of [
    ['listen', listen, 'command the cluster'],
    ['listen_read_only', listenReadOnly, 'read every unit file'],
  ] as const) {
    const place = places.find(({ kind }) => kind === 'tcp' && open);
    if (place === undefined) continue;
    throw problem(
      `"${key}" names ${quote(formatPlace(place))}, where everybody who reaches it could ${right}`,
      'Add listen_cert_file and listen_key_file for TLS, with listen_client_ca_file to know who asks; or say listen_insecure = true',
    );
  }
}

type Origin = {
  readonly registry: RegistryPlace;
  readonly machines: readonly { readonly machine: Machine }[];
};

/** Names what a configuration is about: the same registry and the same machines have the same. */
export function originOf({ registry, machines }: Origin): string {
  return sha256(JSON.stringify([registry, machines.map(({ machine }) => machine)]));
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
