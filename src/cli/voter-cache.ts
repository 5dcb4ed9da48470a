import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../base/hash.ts';
import type { AcceptedRounds } from '../quorum/progress.ts';
import type { TextCache } from '../quorum/voters.ts';
import { isPrivateFolder, quietly, readPrivate, writePrivate } from './cache-folder.ts';

/** How many files are kept; those in use stay in any case. */
const MOST_FILES = 64;
const HASH = /^[0-9a-f]{64}$/;

/**
 * Texts by hash in memory and, if `folder` is given, those that are kept in files there. A folder or file that another user can
 * write to is not used. A file that does not have its hash is removed. An error of the file system only costs time.
 */
export function textCache(folder: string | undefined): TextCache {
  const texts = new Map<string, string>();
  const damaged = new Set<string>();
  /** The files that this process has read or written. */
  const stored = new Set<string>();
  const read = (hash: string): string | undefined => {
    if (folder === undefined || damaged.has(hash)) return undefined;
    const path = join(folder, hash);
    const text = readPrivate(path);
    if (text !== undefined && sha256(text) === hash) {
      texts.set(hash, text);
      stored.add(hash);
      return text;
    }
    damaged.add(hash);
    if (isPrivateFolder(folder)) quietly(() => rmSync(path, { force: true }));
    return undefined;
  };
  return {
    known: () => {
      const files = folder === undefined ? [] : filesIn(folder);
      return [...new Set([...texts.keys(), ...files.filter((hash) => !damaged.has(hash))])];
    },
    get: (hash) => texts.get(hash) ?? read(hash),
    put: (hash, text) => void texts.set(hash, text),
    keep(hashes) {
      for (const [hash, text] of texts) {
        if (!hashes.includes(hash)) texts.delete(hash);
        else if (folder !== undefined && !stored.has(hash)) {
          writePrivate(join(folder, hash), text);
          quietly(() => removeOldest(folder, texts));
          stored.add(hash);
        }
      }
    },
  };
}

function filesIn(folder: string): readonly string[] {
  return (
    quietly(() => (isPrivateFolder(folder) ? readdirSync(folder) : []))?.filter((name) => HASH.test(name)) ??
    []
  );
}

/** The files of `used` texts stay, however old they are. */
function removeOldest(folder: string, used: ReadonlyMap<string, string>): void {
  const others = filesIn(folder).filter((name) => !used.has(name));
  const files = others.map((name) => ({ name, at: statSync(join(folder, name)).mtimeMs }));
  for (const { name } of files.sort((a, b) => b.at - a.at).slice(Math.max(0, MOST_FILES - used.size)))
    rmSync(join(folder, name), { force: true });
}

/** How many voters are remembered. */
const MOST_VOTERS = 256;

/**
 * What voters have shown to this user, in the file `voters` of the folder: a line each with machine, state and round. A folder
 * or file that another user can write to is not used. An error of the file system only costs the memory.
 */
export function acceptedRounds(folder: string | undefined): {
  readonly rounds: AcceptedRounds;
  /** Adds what this process has seen to what others have stored meanwhile. */
  readonly save: () => void;
} {
  const rounds = read(folder);
  return {
    rounds,
    save() {
      const stored = read(folder);
      const higher = [...rounds].filter(([voter, round]) => round > (stored.get(voter) ?? -1));
      if (folder === undefined || higher.length === 0) return;
      for (const [voter, round] of higher) {
        stored.delete(voter);
        stored.set(voter, round);
      }
      const lines = [...stored].slice(-MOST_VOTERS).map(([voter, round]) => `${voter} ${round}\n`);
      writePrivate(join(folder, 'voters'), lines.join(''));
    },
  };
}

/** The machines from which this user has read what they accepted as voters. */
export function shownBy(rounds: AcceptedRounds): readonly string[] {
  return [...rounds].flatMap(([voter, round]) => (round > 0 ? (voter.split(' ')[0] ?? []) : []));
}

function read(folder: string | undefined): AcceptedRounds {
  const text = folder === undefined ? '' : (readPrivate(join(folder, 'voters')) ?? '');
  const lines = text.matchAll(/^(\S+ [0-9a-f]{32}) (\d{1,15})$/gm);
  return new Map([...lines].map(([, voter = '', round]) => [voter, Number(round)]));
}
