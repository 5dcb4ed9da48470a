import { createHmac } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { keyType } from './keys/public-key.ts';

/** One key that a known_hosts file holds for a host. `line` counts from 1. `key` is the wire form of RFC 4253. */
export type KnownHostKey = { readonly line: number; readonly revoked: boolean; readonly key: Buffer };

/** One line that names a key: `hosts` are patterns, or one hashed name. */
export type KnownHostsLine = KnownHostKey & { readonly hosts: string };

/** The name under which a host stands in a known_hosts file: `web-1`, or `[web-1]:2222` for another port. */
export function knownHostName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/**
 * Reads OpenSSH's known_hosts format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Comments and lines that make no
 * sense are passed over, as OpenSSH does; so are `@cert-authority` lines, for ssh2 knows no host certificates.
 */
export function parseKnownHosts(text: string): KnownHostsLine[] {
  return text.split('\n').flatMap((line, index) => {
    const match = LINE.exec(line);
    const { marker, hosts, type, key: base64 } = match?.groups ?? {};
    if (hosts === undefined || base64 === undefined || (marker !== undefined && marker !== 'revoked'))
      return [];
    const key = Buffer.from(base64, 'base64');
    return keyType(key) === type ? [{ line: index + 1, revoked: marker === 'revoked', hosts, key }] : [];
  });
}

/** The keys that the lines hold for the host of that {@link knownHostName}, revoked ones included. */
export function keysOfHost(lines: readonly KnownHostsLine[], name: string): KnownHostKey[] {
  return lines.filter(({ hosts }) => (hosts.startsWith('|') ? isHashOf(hosts, name) : matches(hosts, name)));
}

/** The text of a known_hosts file; a file that is not there is empty. */
export async function readKnownHosts(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * Adds a line, and the file (mode 0600) and its folder (0700) where there are none. The line goes out in one
 * write at the end of the file, so that processes that add at the same time do not tear each other's lines.
 */
export async function appendKnownHost(file: string, name: string, key: Buffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    // A file that was edited by hand may lack its last newline.
    const start = size > 0 && buffer[0] !== 0x0a ? '\n' : '';
    await handle.write(`${start}${name} ${keyType(key)} ${key.toString('base64')}\n`);
  } finally {
    await handle.close();
  }
}

const LINE =
  /^[ \t]*(?:@(?<marker>\S+)[ \t]+)?(?<hosts>[^#\s]\S*)[ \t]+(?<type>\S+)[ \t]+(?<key>[A-Za-z0-9+/]+=*)(?:\s|$)/;

/** `|1|salt|hash`: HMAC-SHA1 of the name under the salt, both in base64. */
function isHashOf(hashed: string, name: string): boolean {
  const [, version, salt = '', hash] = hashed.split('|');
  return (
    version === '1' && createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
  );
}

/** True when one of the comma-separated patterns matches and none with a `!` in front does. */
function matches(patterns: string, name: string): boolean {
  let found = false;
  for (const pattern of patterns.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!glob(negated ? pattern.slice(1) : pattern, name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

function glob(pattern: string, name: string): boolean {
  if (!/[*?]/.test(pattern)) return pattern === name;
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(name);
}
