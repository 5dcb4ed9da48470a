import { statSync } from 'node:fs';
import { LARGEST_FILE, readTrustedText } from '../base/trusted-file.ts';
import { keyType } from './keys/public-key.ts';
import { covers, isHashed, type KnownHostsLine, parseKnownHosts } from './known-hosts.ts';

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
  readonly #marked: KnownHostsLine[] = [];
  readonly #found = new Map<string, readonly KnownHostsLine[]>();

  constructor(path: string, text: string) {
    this.lines = parseKnownHosts(path, text);
    for (const line of this.lines) {
      add(this.#byKey, line.key.toString('base64'), line);
      if (line.marker !== undefined) this.#marked.push(line);
      else if (isHashed(line.hosts)) this.hashedTypes.add(keyType(line.key));
      if (isHashed(line.hosts)) this.#hashed.push(line);
      else if (/[*?!]/.test(line.hosts)) this.#patterns.push(line);
      else for (const name of new Set(line.hosts.toLowerCase().split(','))) add(this.#byName, name, line);
    }
  }

  /** The lines about a host, without those with a hashed name. */
  unhashed(name: string): KnownHostsLine[] {
    const fitting = this.#patterns.filter((line) => covers(line, name));
    return [...(this.#byName.get(name) ?? []), ...fitting].toSorted((a, b) => a.line - b.line);
  }

  /** All lines about a host. */
  all(name: string): readonly KnownHostsLine[] {
    const found =
      this.#found.get(name) ??
      [...this.unhashed(name), ...this.#hashed.filter((line) => covers(line, name))].toSorted(
        (a, b) => a.line - b.line,
      );
    this.#found.set(name, found);
    return found;
  }

  /** The lines about a host that hold a key. */
  withKey(key: Buffer, name: string): KnownHostsLine[] {
    return (this.#byKey.get(key.toString('base64')) ?? []).filter((line) => covers(line, name));
  }

  /** The lines about a host that have a marker; there are few. */
  marked(marker: KnownHostsLine['marker'], name: string): KnownHostsLine[] {
    return this.#marked.filter((line) => line.marker === marker && covers(line, name));
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

/** Reads files again only when they have changed; a missing file counts as empty. */
export class KnownHostsFiles {
  readonly #files = new Map<string, { readonly stamp: string; readonly content: Promise<KnownHostsFile> }>();

  async read(path: string): Promise<KnownHostsFile> {
    const stamp = stampOf(path);
    const known = this.#files.get(path);
    if (known?.stamp === stamp) return known.content;
    const content = readWhole(path, stamp !== '');
    this.#files.set(path, { stamp, content });
    return content;
  }
}

/** The maximum size in bytes: one line per host and key, and an organization may have many. */
const LARGEST_KNOWN_HOSTS = 64 * LARGEST_FILE;

async function readWhole(path: string, isThere: boolean): Promise<KnownHostsFile> {
  return new KnownHostsFile(path, isThere ? readTrustedText(path, LARGEST_KNOWN_HOSTS) : '');
}

/** A text that changes with the file; empty if there is no file. */
function stampOf(path: string): string {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '' : [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(' ');
}

function add(map: Map<string, KnownHostsLine[]>, key: string, line: KnownHostsLine): void {
  const lines = map.get(key);
  if (lines === undefined) map.set(key, [line]);
  else lines.push(line);
}
