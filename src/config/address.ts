import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** The address of an SSH server. `port` is undefined if the address has none. */
export type Address = { readonly host: string; readonly port: number | undefined };

/** Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address; undefined for other text. */
export function parseAddress(text: string): Address | undefined {
  if (isV6(text)) return { host: text, port: undefined };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const [, v6, name, digits] = match ?? [];
  const host = v6 ?? name;
  if (host === undefined || !(v6 === undefined ? isHostName(host) : isV6(host))) return undefined;
  if (digits === undefined) return { host, port: undefined };
  const port = parsePort(digits);
  return port === undefined ? undefined : { host, port };
}

/** The address as tables show it: with the port only if one was written. */
export function formatAddress(address: Address): string {
  if (address.port === undefined) return address.host;
  return `${isV6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** `host:port` in one spelling, so that two ways to write the same end point are equal. */
export function endPoint(host: string, port: number): string {
  if (!isV6(host)) return formatAddress({ host: host.toLowerCase().replace(/\.$/, ''), port });
  const [address = host, zone] = host.split('%');
  const canonical = new SocketAddress({ family: 'ipv6', address }).address;
  return `[${canonical}${zone === undefined ? '' : `%${zone}`}]:${port}`;
}

/** Whether two written addresses name the same end point. Without a port, the computer decides which one is used. */
export function isSameAddress(a: string, b: string): boolean {
  return a === b || canonicalAddress(a) === canonicalAddress(b);
}

/** A written address in the one spelling of its end point; the port is 0 if none is written. */
export function canonicalAddress(text: string): string {
  const { host, port = 0 } = parseAddress(text) ?? { host: text };
  return endPoint(host, port);
}

/** Reads 1 to 65535 in decimal digits; undefined for other text. */
export function parsePort(text: string): number | undefined {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** Reads a user name of useradd(8) or a directory service (`CORP\alice`); undefined for text that ssh could take for an option. */
export function parseUser(text: string): string | undefined {
  return /^[^\s\p{Cc}-][^\s\p{Cc}]*$/u.test(text) ? text : undefined;
}

/** The colons are counted first, because the first isIPv6 compiles a large expression, which takes 4 ms. */
function isV6(text: string): boolean {
  return text.split(':').length > 2 && isIPv6(text);
}

/** An IPv4 address or a host name (RFC 1123, and `_`). `10.1.1.300` is neither, because no top-level domain is a number. */
function isHostName(text: string): boolean {
  if (isIPv4(text)) return true;
  const labels = text.replace(/\.$/, '').split('.');
  const valid = labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
  return valid && text.length <= 253 && !/^\d+$/.test(labels.at(-1) ?? '');
}
