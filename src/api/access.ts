import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { ListenSettings } from '../config/values.ts';
import { ApiError } from './answer.ts';

/** What requests at one place may be. */
export type AccessRules = {
  readonly isReadOnly: boolean;
  /** What clients over plain TCP may call the host, in lower case, beside addresses. */
  readonly names: ReadonlySet<string>;
};

/** The names that `Host` may have: those of the host itself, of the places it listens on, and what `listen_names` adds. */
export function hostNames(settings: ListenSettings): ReadonlySet<string> {
  const { listen, listen_read_only: reads, listen_names: names = [] } = settings;
  const places = [...listen, ...reads].flatMap((place) => (place.kind === 'tcp' ? [place.host] : []));
  return new Set(['localhost', hostname(), ...places, ...names].map((name) => name.toLowerCase()));
}

/**
 * Refuses requests that a web page can have a browser send, and changes where there are none. Throws {@link ApiError} 403
 * and 405.
 */
export function checkAccess(request: IncomingMessage, rules: AccessRules, isPlain: boolean): void {
  const { method, headers } = request;
  // https://www.w3.org/TR/fetch-metadata/: "none" is an address that a person has typed.
  const site = headers['sec-fetch-site'];
  if (headers.origin !== undefined || (site !== undefined && (site !== 'none' || method !== 'GET')))
    throw new ApiError(403, 'no requests of web pages are answered');
  // A page whose name is made to lead here (DNS rebinding) is of the same origin to a browser, which tells that name. Over
  // TLS no certificate has it, and no browser knows sockets of a file system.
  if (isPlain && !isKnown(headers.host, rules.names))
    throw new ApiError(
      403,
      `the host "${headers.host}" is not known here; "listen_names" in fleet.conf adds names`,
    );
  if (rules.isReadOnly && method !== 'GET')
    throw new ApiError(405, 'nothing can be changed here: only GET is supported');
}

/** A client of HTTP/1.0 that is no browser may tell no name. */
function isKnown(host: string | undefined, names: ReadonlySet<string>): boolean {
  if (host === undefined) return true;
  const name = host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  return names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}
