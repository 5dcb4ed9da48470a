import { CommandError, run } from './run.js';

/**
 * A command to measure.
 *
 * @typedef {object} Candidate
 * @property {string} name
 * @property {(round: number) => readonly string[]} command the command line; each round can use a
 *   new unit
 * @property {(stdout: string) => boolean} [isRight] whether the output shows success
 * @property {(round: number) => Promise<void>} [after] clean-up, which is not timed
 *
 * @typedef {{ readonly name: string, readonly times: readonly number[] }} Result times in ms, at least one
 */

/**
 * Runs the candidates in turns, A B C A B C …, so that a box that gets slower affects all of them. The first round,
 * which reads files from the disk, does not count.
 *
 * @param {readonly Candidate[]} candidates
 * @param {number} rounds
 * @returns {Promise<readonly Result[]>}
 */
export async function compare(candidates, rounds) {
  const results = candidates.map(({ name }) => ({ name, times: [] }));
  for (let round = 0; round <= rounds; round++) {
    for (const [index, candidate] of candidates.entries()) {
      const ms = await measure(candidate, round);
      if (round > 0) results[index].times.push(ms);
    }
  }
  return results;
}

async function measure({ command, isRight = () => true, after }, round) {
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
