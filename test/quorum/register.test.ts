import { describe, expect, it } from 'vitest';
import { runs } from '../support/random.ts';
import { type Mutation, Simulation, violations } from './simulation.ts';

const HISTORIES = runs(60);
const STEPS = 3000;

describe('the register', () => {
  it('is linearizable through every fault', async () => {
    let acknowledged = 0;
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const history = await new Simulation(seed).run(STEPS);
      expect(violations(history), `seed ${seed}`).toEqual([]);
      acknowledged += history.operations.filter(({ result }) => result !== undefined).length;
    }
    expect(acknowledged).toBeGreaterThan(HISTORIES * 30);
  });

  /** Each with a seed that finds it: a change of the simulation may need one of the next seeds. */
  const mutations: [Mutation, seed: number][] = [
    ['promise-not-stored', 1],
    ['answer-before-sync', 11],
    ['accept-ignores-promise', 1],
    ['unsynced-state-is-read', 35],
    ['restored-state-counts', 140],
  ];
  it.each(mutations)('would not be with the fault "%s"', async (mutation, first) => {
    const found = await firstViolation(first, (seed) => new Simulation(seed, mutation));
    expect(found).toBeDefined();
  });
});

async function firstViolation(
  first: number,
  simulation: (seed: number) => Simulation,
): Promise<string | undefined> {
  for (let seed = first; seed < first + 1000; seed++) {
    const [found] = violations(await simulation(seed).run(STEPS));
    if (found !== undefined) return `seed ${seed}: ${found}`;
  }
  return undefined;
}
