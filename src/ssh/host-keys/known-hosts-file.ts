import { createHmac, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolders } from '../../base/folders.ts';
import { LARGEST_FILE, readTrustedText } from '../../base/trusted-file.ts';
import { keyType } from '../keys/public-key.ts';
import { matchesList } from '../pattern.ts';

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

const LINE =
  /^[ \t]*(?:@(?<marker>\S+)[ \t]+)?(?<hosts>[^#\s]\S*)[ \t]+(?<type>\S+)[ \t]+(?<key>[A-Za-z0-9+/]+=*)(?:\s|$)/;

/** True when the line is about the host with that {@link knownHostName}. */
export function covers({ hosts }: KnownHostsLine, name: string): boolean {
  return isHashed(hosts) ? isHashOf(hosts, name) : matchesList(name, hosts.toLowerCase());
}

function isHashed(hosts: string): boolean {
  return hosts.startsWith('|');
}

/** `|1|salt|hash`: HMAC-SHA1 of the name under the salt, both in base64. */
function hashOf(name: string, salt: Buffer): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

function isHashOf(hashed: string, name: string): boolean {
  const [, version, salt = ''] = hashed.split('|');
  return version === '1' && hashOf(name, Buffer.from(salt, 'base64')) === hashed;
}

/**
 * The lines of one file, indexed for many lookups. Finding a hashed name takes one hash per line, which is seconds for
 * thousands of lines and hundreds of hosts; lines are therefore found by their key if that is known.
 */
export class KnownHostsFile {
  readonly lines: readonly KnownHostsLine[];
  /** The key types of the lines with hashed names. */
  readonly hashedTypes = new Set<string>();
  readonly #byName = new Map<string, KnownHostsLine[]>();
  readonly #byKey = new Map<string, KnownHostsLine[]>();
  readonly #patterns: KnownHostsLine[] = [];
  readonly #hashed: KnownHostsLine[] = [];
  readonly #authorities: KnownHostsLine[] = [];
  readonly #found = new Map<string, readonly KnownHostsLine[]>();

  constructor(path: string, text: string) {
    this.lines = parseKnownHosts(path, text);
    for (const line of this.lines) {
      add(this.#byKey, line.key.toString('base64'), line);
      if (line.marker === 'cert-authority') this.#authorities.push(line);
      if (line.marker === undefined && isHashed(line.hosts)) this.hashedTypes.add(keyType(line.key));
      if (isHashed(line.hosts)) this.#hashed.push(line);
      else if (/[*?!]/.test(line.hosts)) this.#patterns.push(line);
      else for (const name of new Set(line.hosts.toLowerCase().split(','))) add(this.#byName, name, line);
    }
  }

  /** The lines about a host, without those with a hashed name. */
  unhashed(name: string): KnownHostsLine[] {
    const fitting = this.#patterns.filter((line) => covers(line, name));
    return inFileOrder([...(this.#byName.get(name) ?? []), ...fitting]);
  }

  /** All lines about a host. */
  all(name: string): readonly KnownHostsLine[] {
    const hashed = (): KnownHostsLine[] => this.#hashed.filter((line) => covers(line, name));
    const found = this.#found.get(name) ?? inFileOrder([...this.unhashed(name), ...hashed()]);
    this.#found.set(name, found);
    return found;
  }

  /** The lines about a host that hold a key. */
  withKey(key: Buffer, name: string): KnownHostsLine[] {
    return (this.#byKey.get(key.toString('base64')) ?? []).filter((line) => covers(line, name));
  }

  /** Whether a line names an authority that may sign for a host. */
  hasAuthority(name: string): boolean {
    return this.#authorities.some((line) => covers(line, name));
  }

  /** True when the lines about a host can be found without hashing many names. */
  knowsAll(name: string): boolean {
    return this.#hashed.length === 0 || this.#found.has(name);
  }

  /** True when all names in the file are hashed, so that a new one should be, too. */
  get isHashed(): boolean {
    return this.#hashed.length > 0 && this.#hashed.length === this.lines.length;
  }
}

function inFileOrder(lines: readonly KnownHostsLine[]): KnownHostsLine[] {
  return lines.toSorted((a, b) => a.line - b.line);
}

function add(map: Map<string, KnownHostsLine[]>, key: string, line: KnownHostsLine): void {
  const lines = map.get(key);
  if (lines === undefined) map.set(key, [line]);
  else lines.push(line);
}

/** Reads files again only when they have changed; a missing file counts as empty. */
export class KnownHostsFiles {
  readonly #files = new Map<string, { readonly stamp: string; readonly content: KnownHostsFile }>();

  read(path: string): KnownHostsFile {
    const stamp = stampOf(path);
    const known = this.#files.get(path);
    if (known?.stamp === stamp) return known.content;
    const content = new KnownHostsFile(path, stamp === '' ? '' : readTrustedText(path, LARGEST_KNOWN_HOSTS));
    this.#files.set(path, { stamp, content });
    return content;
  }
}

/** The maximum size in bytes: one line per host and key, and an organization may have many. */
const LARGEST_KNOWN_HOSTS = 64 * LARGEST_FILE;

/** A text that changes with the file; empty if there is no file. */
function stampOf(path: string): string {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '' : [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(' ');
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
    const written = hashed ? hashOf(name, randomBytes(20)) : name;
    await handle.write(`${start}${written} ${keyType(key)} ${key.toString('base64')}\n`);
  } finally {
    await handle.close();
  }
}
