import { configError, inQuotes } from '../base/errors.ts';
import { formatListenPlace, type RegistryPlace } from './places.ts';
import type { EtcdSettings, ListenSettings } from './values.ts';

/**
 * Rejects settings for etcd that would be ignored: TLS files without TLS, a certificate without its key, a user without a
 * password. Throws `config`.
 */
export function checkEtcdSettings(place: RegistryPlace, settings: EtcdSettings): void {
  if (place.kind !== 'etcd') return;
  const { etcd_ca_file: ca, etcd_cert_file: cert, etcd_key_file: key } = settings;
  if (!place.tls && (ca ?? cert ?? key) !== undefined) {
    throw configError(
      'etcd_ca_file, etcd_cert_file and etcd_key_file are for TLS, but "registry" is an etcd:// URL without TLS',
      'Write "registry = etcds://…"',
    );
  }
  requireBoth(settings, 'etcd_cert_file', 'etcd_key_file');
  requireBoth(settings, 'etcd_user', 'etcd_password_file');
}

/** Rejects a TCP port without TLS, unless it was allowed explicitly, and incomplete TLS files. Throws `config`. */
export function checkListen(settings: ListenSettings): void {
  requireBoth(settings, 'listen_cert_file', 'listen_key_file');
  const { listen_cert_file: cert, listen_client_ca_file: clientCa, listen_insecure: insecure } = settings;
  if (clientCa !== undefined && cert === undefined)
    throw configError('listen_client_ca_file is for TLS', 'Add listen_cert_file and listen_key_file');
  const isOpen = cert === undefined && !insecure;
  for (const [key, right] of [
    ['listen', 'command the cluster'],
    ['listen_read_only', 'read every unit file'],
  ] as const) {
    const place = settings[key].find(({ kind }) => kind === 'tcp' && isOpen);
    if (place === undefined) continue;
    throw configError(
      `"${key}" has ${inQuotes(formatListenPlace(place))}, and without TLS everyone who can connect to it could ${right}`,
      'Add listen_cert_file and listen_key_file for TLS, and listen_client_ca_file to identify clients; or set listen_insecure = true',
    );
  }
}

function requireBoth<K extends string>(settings: Readonly<Partial<Record<K, string>>>, a: K, b: K): void {
  const [first, second] = [settings[a], settings[b]];
  if ((first === undefined) !== (second === undefined))
    throw configError(`${first === undefined ? b : a} requires ${first === undefined ? a : b}`);
}
