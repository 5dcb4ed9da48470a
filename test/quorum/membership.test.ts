import { afterEach, describe, expect, it, vi } from 'vitest';
import type * as Rules from '../../src/quorum/membership.ts';

const RULES = '../../src/quorum/membership.ts';
const STEPS = 3000;

afterEach(() => {
  vi.doUnmock(RULES);
  vi.resetModules();
});

/** Each changes one rule, which the simulation has to detect. */
const MUTATIONS: [rule: string, mutate: (rules: typeof Rules) => Partial<typeof Rules>][] = [
  ['one voter is a majority', () => ({ hasQuorum: (_, states) => states.size > 0 })],
  [
    'the voters before do not count',
    (rules) => ({ hasQuorum: ({ epoch, voters }, states) => rules.hasQuorum({ epoch, voters }, states) }),
  ],
  [
    'the voters change in one step',
    () => ({ withVoters: ({ epoch }, voters) => ({ epoch: epoch + 1, voters }) }),
  ],
];

describe('a quorum', () => {
  it.each(MUTATIONS)('is needed: it would be noticed if %s', async (_, mutate) => {
    vi.resetModules();
    vi.doMock(RULES, async (original) => {
      const rules = await original<typeof Rules>();
      return { ...rules, ...mutate(rules) };
    });
    const { Simulation, violations } = await import('./simulation.ts');
    let found: string | undefined;
    for (let seed = 1; found === undefined && seed <= 1000; seed++)
      [found] = violations(await new Simulation(seed).run(STEPS));
    expect(found).toBeDefined();
  });
});
