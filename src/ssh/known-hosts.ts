import { createHmac, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolders } from '../base/folders.ts';
import { keyType } from './keys/public-key.ts';
import { matchesList } from './pattern.ts';

/**
 * One line of a known_hosts file: `hosts` are patterns, or one hashed name; `key` is in the wire form of RFC 4253.
 * Without a marker it is the key of these hosts. With `revoked` they must not use it; with `cert-authority` it signs
 * certificates for them. `line` counts from 1.
 */
export type KnownHostsLine = {
  readonly file: string;
  readonly line: number;
  readonly marker: 'revoked' | 'cert-authority' | undefined;
  readonly hosts: string;
  readonly key: Buffer;
};

/** The name of a host in a known_hosts file: `web-1`, or `[web-1]:2222` for another port. */
export function knownHostName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/**
 * Reads OpenSSH's known_hosts format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Comments and invalid lines
 * are skipped, as in OpenSSH.
 */
export function parseKnownHosts(file: string, text: string): KnownHostsLine[] {
  return text.split('\n').flatMap((line, index) => {
    const { marker, hosts, type, key: base64 } = LINE.exec(line)?.groups ?? {};
    if (hosts === undefined || base64 === undefined) return [];
    if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return [];
    const key = Buffer.from(base64, 'base64');
    return keyType(key) === type ? [{ file, line: index + 1, marker, hosts, key }] : [];
  });
}

/** True when the line is about the host with that {@link knownHostName}. */
export function covers({ hosts }: KnownHostsLine, name: string): boolean {
  return isHashed(hosts) ? isHashOf(hosts, name) : matchesList(name, hosts.toLowerCase());
}

/** True for a hashed name. */
export function isHashed(hosts: string): boolean {
  return hosts.startsWith('|');
}

/**
 * Adds a line; creates the file (mode 0600) and its folder (0700) if they are missing. The line is appended in one
 * write, so that processes that add lines at the same time do not mix them.
 * With `hashed` the file does not show the name.
 */
export async function appendKnownHost(
  file: string,
  name: string,
  key: Buffer,
  hashed: boolean = false,
): Promise<void> {
  makeFolders(dirname(file), 0o700);
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    // A file that was edited by hand may lack its last newline.
    const start = size > 0 && buffer[0] !== 0x0a ? '\n' : '';
    await handle.write(
      `${start}${hashed ? hashOf(name, randomBytes(20)) : name} ${keyType(key)} ${key.toString('base64')}\n`,
    );
  } finally {
    await handle.close();
  }
}

const LINE =
  /^[ \t]*(?:@(?<marker>\S+)[ \t]+)?(?<hosts>[^#\s]\S*)[ \t]+(?<type>\S+)[ \t]+(?<key>[A-Za-z0-9+/]+=*)(?:\s|$)/;

/** `|1|salt|hash`: HMAC-SHA1 of the name under the salt, both in base64. */
function hashOf(name: string, salt: Buffer): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

function isHashOf(hashed: string, name: string): boolean {
  const [, version, salt = ''] = hashed.split('|');
  return version === '1' && hashOf(name, Buffer.from(salt, 'base64')) === hashed;
}
