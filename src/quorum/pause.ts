/** The first pause, in ms. It doubles with each attempt, and begins with the time of the attempt if that is longer. */
const FIRST_MS = 20;
/** The longest pause after attempts that are faster than a quarter of this, in ms. */
const LONGEST_MS = 1000;
/** The longest pause after any attempt, in ms. A slower one has waited for a connection or for contents, which the next one has. */
const LONGEST_SLOW_MS = 5000;

/**
 * The longest time, in ms, that a proposer waits after attempt number `attempt`, which took `ms` and was disturbed by another proposer. It is
 * longer than most attempts, so that another one can end.
 */
export function longestPause(attempt: number, ms: number): number {
  const longest = Math.min(Math.max(LONGEST_MS, 4 * ms), LONGEST_SLOW_MS);
  return Math.min(Math.max(FIRST_MS, ms) * 2 ** attempt, longest);
}
