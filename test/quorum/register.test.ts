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

  const mutations: Mutation[] = [
    'promise-not-stored',
    'answer-before-sync',
    'accept-ignores-promise',
    'unsynced-state-is-read',
    'restored-state-counts',
  ];
  it.each(mutations)('would not be with the fault "%s"', async (mutation) => {
    const found = await firstViolation((seed) => new Simulation(seed, mutation));
    expect(found).toBeDefined();
  });
});

async function firstViolation(simulation: (seed: number) => Simulation): Promise<string | undefined> {
  for (let seed = 1; seed <= 1000; seed++) {
    const [found] = violations(await simulation(seed).run(STEPS));
    if (found !== undefined) return `seed ${seed}: ${found}`;
  }
  return undefined;
}
