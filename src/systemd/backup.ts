import type { MachineBackup, Token } from '../cluster/snapshot.ts';

/**
 * Reads what a machine keeps of the registry: `texts` are lines `unit base64`, `tokens` the notes of all units that
 * are there or were.
 */
export function readBackup(texts: string, tokens: string): MachineBackup {
  const lines = texts.split('\n').filter((line) => line !== '');
  return {
    texts: new Map(
      lines.map((line) => {
        const [unit = '', encoded = ''] = line.split(' ');
        return [unit, Buffer.from(encoded, 'base64').toString('utf8')];
      }),
    ),
    token: readHighestToken(tokens),
  };
}

/** The highest token in the notes of units. */
export function readHighestToken(tokens: string): Token {
  const seen = [...tokens.matchAll(/token=(\d+)/g)].map(([, token]) => Number(token));
  return seen.reduce((highest, token) => Math.max(highest, token), 0);
}
