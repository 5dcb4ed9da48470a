import { join } from 'node:path';
import type { AcceptedRounds } from '../quorum/progress.ts';
import { readPrivate, writePrivate } from './cache-folder.ts';

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
