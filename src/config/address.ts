import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** Where a machine's SSH server is. `port` is undefined when the address does not name one. */
export type Address = { readonly host: string; readonly port: number | undefined };

/** Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address; undefined for anything else. */
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

/** The address as tables show it: with the port only when one was written. */
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

/** 1 to 65535 in decimal digits; undefined for anything else. */
export function parsePort(text: string): number | undefined {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** A name as useradd(8) or a directory service gives it (`CORP\alice`); nothing ssh could take for an option. */
export function parseUser(text: string): string | undefined {
  return /^[^\s\p{Cc}-][^\s\p{Cc}]*$/u.test(text) ? text : undefined;
}

/** Node compiles a large expression at its first isIPv6, 4 ms; no address has fewer than two colons. */
function isV6(text: string): boolean {
  return text.split(':').length > 2 && isIPv6(text);
}

/** An IPv4 address or a host name (RFC 1123, and `_`); `10.1.1.300` is neither, as no top-level domain is a number. */
function isHostName(text: string): boolean {
  if (isIPv4(text)) return true;
  const labels = text.replace(/\.$/, '').split('.');
  const valid = labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
  return valid && text.length <= 253 && !/^\d+$/.test(labels.at(-1) ?? '');
}
