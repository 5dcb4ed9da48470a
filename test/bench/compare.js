import { readFileSync } from 'node:fs';
import { CommandError, run } from './run.js';

/**
 * A command to measure.
 *
 * @typedef {object} Candidate
 * @property {string} name
 * @property {(round: number) => readonly string[]} command the command line; each round can use a new unit
 * @property {(stdout: string) => boolean} [isRight] whether the output shows success
 * @property {(round: number) => Promise<void>} [before] preparation, which is not timed
 * @property {(round: number) => Promise<void>} [after] clean-up, which is not timed
 * @property {number} [most] how many rounds it takes part in, the first one left out, because it takes a minute
 *
 * `times` has the wall times and `cpu` the CPU times, of all processes of a command, at least one. Both are in ms unless `unit`
 * says otherwise.
 * @typedef {{ readonly name: string, readonly times: readonly number[], readonly cpu?: readonly number[],
 *   readonly unit?: string }} Result
 */

/** The unit of times in /proc/PID/stat, in ms: USER_HZ is 100 on every Linux that Node runs on. */
export const TICK = 10;

/**
 * Runs the candidates in turns, A B C A B C …, so that a box that gets slower affects all of them. The first round,
 * which reads files from the disk, does not count.
 *
 * @param {readonly Candidate[]} candidates
 * @param {number} rounds
 * @returns {Promise<readonly Result[]>}
 */
export async function compare(candidates, rounds) {
  const results = candidates.map(({ name }) => ({ name, times: [], cpu: [] }));
  for (let round = 0; round <= rounds; round++) {
    for (const [index, candidate] of candidates.entries()) {
      if (candidate.most !== undefined && (round === 0 || round > candidate.most)) continue;
      const { ms, cpu } = await measure(candidate, round);
      if (round === 0) continue;
      results[index].times.push(ms);
      results[index].cpu.push(cpu);
    }
  }
  return results;
}

async function measure({ command, isRight = () => true, before, after }, round) {
  await before?.(round);
  const words = command(round);
  const cpuBefore = childrenCpu();
  const { ms, stdout, stderr } = await run(words);
  const cpu = childrenCpu() - cpuBefore;
  if (!isRight(stdout)) throw new CommandError(words, 'not the expected output', `${stdout}${stderr}`);
  await after?.(round);
  return { ms, cpu };
}

/** The CPU time of all children that have ended, and of theirs, in ms. */
export function childrenCpu() {
  const [, words] = readFileSync('/proc/self/stat', 'utf8').split(') ');
  const [user, system] = words.split(' ').slice(13, 15).map(Number);
  return (user + system) * TICK;
}

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
