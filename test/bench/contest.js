import { CommandError, run } from './run.js';

/**
 * Someone who takes part.
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {(round: number) => readonly string[]} command its command line; the rounds are numbered, so that every
 *   one can have a fresh unit
 * @property {(stdout: string) => boolean} [isRight] whether this output is that of a command that did its work
 * @property {(round: number) => Promise<void>} [after] what has to be done after its turn, and is not timed
 *
 * @typedef {{ readonly name: string, readonly times: readonly number[] }} Result times in ms, at least one
 */

/**
 * Lets contestants take turns, A B C A B C …, so that a box that gets slower gets slower for all of them. A first
 * round, in which files come from the disk for the first time, does not count.
 *
 * @param {readonly Contestant[]} contestants
 * @param {number} rounds
 * @returns {Promise<readonly Result[]>}
 */
export async function contest(contestants, rounds) {
  const results = contestants.map(({ name }) => ({ name, times: [] }));
  for (let round = 0; round <= rounds; round++) {
    for (const [index, contestant] of contestants.entries()) {
      const ms = await takeTurn(contestant, round);
      if (round > 0) results[index].times.push(ms);
    }
  }
  return results;
}

async function takeTurn({ command, isRight = () => true, after }, round) {
  const words = command(round);
  const { ms, stdout, stderr } = await run(words);
  if (!isRight(stdout)) throw new CommandError(words, 'not the expected output', `${stdout}${stderr}`);
  await after?.(round);
  return ms;
}

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
