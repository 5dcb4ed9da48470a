/** A seeded stream of numbers in [0, 1): the same seed gives the same stream everywhere (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of `choices`. */
export function pick<T>(random: () => number, choices: readonly T[]): T {
  const choice = choices[Math.floor(random() * choices.length)];
  if (choice === undefined) throw new Error('nothing to pick from');
  return choice;
}

/** Up to `most` of `choices`, which can repeat, joined. */
export function pickText(random: () => number, choices: readonly string[], most: number): string {
  return Array.from({ length: Math.floor(random() * (most + 1)) }, () => pick(random, choices)).join('');
}

/** FLEET_RUNS=5 makes five times as many random runs, as `npm run soak -- --random` does for the test of a release. */
const TIMES = Number(process.env.FLEET_RUNS ?? 1);

/** The number of random runs of a test that makes `count` by default: as many as find the faults that it is there for. */
export function runs(count: number): number {
  return Math.ceil(count * TIMES);
}

/** The seeds of the random runs of a test: 1, 2, … */
export function seeds(count: number): readonly number[] {
  return Array.from({ length: runs(count) }, (_, index) => index + 1);
}
