import type { MachineBackup, Token } from '../cluster/snapshot.ts';
import { keepTo, readNumber } from '../machine/limits.ts';
import { readOwnUnitName } from './read-name.ts';

/**
 * Reads what a machine keeps of the registry: `texts` are lines `unit base64`, `tokens` the notes of all units that
 * are there or were.
 */
export function readBackup(texts: string, tokens: string): MachineBackup {
  const lines = texts.split('\n').filter((line) => line !== '');
  keepTo('units', lines.length);
  return {
    texts: new Map(
      lines.map((line) => {
        const [unit = '', encoded = ''] = line.split(' ');
        return [readOwnUnitName(unit), Buffer.from(encoded, 'base64').toString('utf8')];
      }),
    ),
    token: readHighestToken(tokens),
  };
}

/** The highest token in the notes of units. Throws FleetError `bad-answer` for one that is no token. */
export function readHighestToken(tokens: string): Token {
  let highest = 0;
  for (const [, token = ''] of tokens.matchAll(/token=(.+)/g))
    highest = Math.max(highest, readNumber(token, 'token'));
  return highest;
}
