import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { sha256 } from '../base/hash.ts';
import type { TextCache } from '../quorum/voters.ts';
import type { Streams } from './streams.ts';

/** Files that were not used by the last so many are removed. */
const MOST_FILES = 64;

/**
 * Texts by hash in `$XDG_CACHE_HOME/fleet/registry`, for this user alone. A file that does not have its hash does not count, and
 * an error of the file system only costs time.
 */
export function textCache({ env, home }: Pick<Streams, 'env' | 'home'>): TextCache {
  const root = isAbsolute(env.XDG_CACHE_HOME ?? '')
    ? (env.XDG_CACHE_HOME ?? '')
    : join(home || homedir(), '.cache');
  const folder = join(root, 'fleet', 'registry');
  const texts = new Map<string, string>();
  const read = (hash: string): string | undefined => {
    const text = quietly(() => readFileSync(join(folder, hash), 'utf8'));
    if (text === undefined || sha256(text) !== hash) return undefined;
    texts.set(hash, text);
    return text;
  };
  return {
    known: () => {
      const stored = quietly(() => readdirSync(folder)) ?? [];
      return [...new Set([...texts.keys(), ...stored.filter((name) => /^[0-9a-f]{64}$/.test(name))])];
    },
    get: (hash) => texts.get(hash) ?? read(hash),
    put(hash, text) {
      texts.set(hash, text);
      quietly(() => write(folder, hash, text));
    },
  };
}

function write(folder: string, hash: string, text: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, hash);
  writeFileSync(`${file}.${process.pid}`, text, { mode: 0o600 });
  renameSync(`${file}.${process.pid}`, file);
  const files = readdirSync(folder).map((name) => ({ name, at: statSync(join(folder, name)).mtimeMs }));
  for (const { name } of files.sort((a, b) => b.at - a.at).slice(MOST_FILES))
    rmSync(join(folder, name), { force: true });
}

function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
