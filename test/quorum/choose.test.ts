import { describe, expect, it } from 'vitest';
import { chooseVoters, type VoterCandidate, voterCount } from '../../src/quorum/choose.ts';
import { pick, seeded } from '../support/random.ts';

const good = (machine: string, other: Partial<VoterCandidate> = {}): VoterCandidate => ({
  machine,
  answers: true,
  condition: 'good',
  mark: undefined,
  ...other,
});

const CASES: [what: string, voters: string, candidates: readonly VoterCandidate[], next: string][] = [
  ['a new cluster of two has one', '', [good('a'), good('b')], 'a'],
  ['a new cluster of three has three', '', [good('a'), good('b'), good('c')], 'a b c'],
  ['three more machines change nothing', 'a b c', 'abcdef'.split('').map((name) => good(name)), 'a b c'],
  ['a third machine makes three of one', 'b', [good('a'), good('b'), good('c')], 'a b c'],
  [
    'a seventh machine makes five of three',
    'a b c',
    'abcdefg'.split('').map((name) => good(name)),
    'a b c d e',
  ],
  [
    'a drained one is replaced',
    'a b c',
    [good('a', { condition: 'drained' }), ...'bcd'.split('').map((n) => good(n))],
    'b c d',
  ],
  [
    'a lost one is replaced',
    'a b c',
    [good('a', { answers: false, condition: 'lost' }), ...'bcd'.split('').map((n) => good(n))],
    'b c d',
  ],
  [
    'an excluded one is replaced before one that is lost',
    'a b c',
    [
      good('a', { answers: false, condition: 'lost' }),
      ...[good('b', { condition: 'excluded' }), good('c'), good('d')],
    ],
    'a c d',
  ],
  [
    'an excluded one stays without another machine',
    'a b c',
    [good('a', { condition: 'excluded' }), good('b'), good('c')],
    'a b c',
  ],
  ['an excluded one becomes none', '', [good('a', { condition: 'excluded' }), good('b'), good('c')], 'b'],
  [
    'an excluded one becomes none although fleet.conf asks for it',
    'a b c',
    [...'abc'.split('').map((n) => good(n)), good('d', { condition: 'excluded', mark: true })],
    'a b c',
  ],
  [
    'one that does not answer stays',
    'a b c',
    [good('a', { answers: false }), ...'bcd'.split('').map((n) => good(n))],
    'a b c',
  ],
  ['one that left the cluster is replaced', 'a b x', 'abc'.split('').map((n) => good(n)), 'a b c'],
  ['one that left a cluster of three leaves one', 'a b x', [good('a'), good('b')], 'a'],
  [
    'a marked machine takes the place of another one',
    'a b c',
    [...'abc'.split('').map((n) => good(n)), good('d', { mark: true })],
    'a b d',
  ],
  [
    'a machine that is marked with no is replaced',
    'a b c',
    [good('a', { mark: false }), ...'bcd'.split('').map((n) => good(n))],
    'b c d',
  ],
  [
    'nothing changes without a majority',
    'a b c',
    [
      good('a', { condition: 'drained' }),
      good('b', { answers: false }),
      good('c', { answers: false }),
      good('d'),
    ],
    'a b c',
  ],
  [
    'a drained one stays if no other machine is better',
    'a b c',
    [good('a', { condition: 'drained' }), good('b'), good('c'), good('d', { condition: 'drained' })],
    'a b c',
  ],
];

describe('the voters of a cluster', () => {
  it.each(CASES)('%s', (_, voters, candidates, next) => {
    const present = voters === '' ? [] : voters.split(' ');
    expect([...chooseVoters(present, candidates)].sort().join(' ')).toBe(next);
  });

  it('change one at a time, and end with the best machines', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const random = seeded(seed);
      const candidates = Array.from({ length: 1 + Math.floor(random() * 9) }, (_, i) =>
        randomCandidate(random, `m${i}`),
      );
      let voters: readonly string[] = shuffled(random, [
        ...candidates.map(({ machine }) => machine),
        'gone-1',
        'gone-2',
      ]).slice(0, pick(random, [1, 3, 3, 5]));
      const first = voters;
      for (let step = 0; ; step++) {
        const next = chooseVoters(voters, candidates);
        if (same(next, voters)) break;
        expect(step, `seed ${seed}`).toBeLessThan(12);
        checkStep(voters, next, candidates);
        voters = next;
      }
      checkEnd(first, voters, candidates, `seed ${seed}`);
    }
  });
});

function checkStep(
  voters: readonly string[],
  next: readonly string[],
  candidates: readonly VoterCandidate[],
): void {
  const come = next.filter((name) => !voters.includes(name));
  const gone = voters.filter((name) => !next.includes(name));
  expect(new Set(next).size).toBe(next.length);
  if (next.length === voters.length) expect([come.length, gone.length]).toEqual([1, 1]);
  else expect(Math.min(come.length, gone.length)).toBe(0);
  const find = (name: string): VoterCandidate | undefined =>
    candidates.find(({ machine }) => machine === name);
  for (const name of come) expect([find(name)?.answers, find(name)?.mark !== false]).toEqual([true, true]);
  expect(next.filter((name) => find(name)?.answers).length * 2).toBeGreaterThan(next.length);
}

function checkEnd(
  first: readonly string[],
  last: readonly string[],
  candidates: readonly VoterCandidate[],
  message: string,
): void {
  const most = voterCount(candidates.filter(({ mark }) => mark !== false).length);
  const isIdeal = ({ answers, condition, mark }: VoterCandidate): boolean =>
    answers && condition === 'good' && mark !== false;
  const ideal = candidates.filter(isIdeal);
  // Without a majority that answers, nothing can be changed.
  const answering = first.filter((name) =>
    candidates.some(({ machine, answers }) => machine === name && answers),
  );
  if (ideal.length < most || answering.length * 2 <= first.length) return;
  expect(last.length, message).toBe(most);
  const isGood = (name: string): boolean =>
    candidates.some((each) => each.machine === name && each.mark !== false && each.condition === 'good');
  expect(
    last.filter((name) => !isGood(name)),
    message,
  ).toEqual([]);
  const marked = ideal.filter(({ mark }) => mark === true).map(({ machine }) => machine);
  const unmarked = last.filter((name) => candidates.find(({ machine }) => machine === name)?.mark !== true);
  if (unmarked.length > 0)
    expect(
      marked.filter((name) => !last.includes(name)),
      message,
    ).toEqual([]);
}

function randomCandidate(random: () => number, machine: string): VoterCandidate {
  const condition = pick(random, ['good', 'good', 'good', 'drained', 'lost'] as const);
  const answers = condition !== 'lost' && random() < 0.8;
  return { machine, answers, condition, mark: random() < 0.5 ? undefined : random() < 0.5 };
}

function shuffled<T>(random: () => number, all: readonly T[]): readonly T[] {
  return all
    .map((each) => [random(), each] as const)
    .sort(([a], [b]) => a - b)
    .map(([, each]) => each);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}
