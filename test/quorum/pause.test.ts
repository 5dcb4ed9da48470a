import { expect, it } from 'vitest';
import { longestPause } from '../../src/quorum/electorate.ts';

it.each([
  ['a fast one', 1, 5, 40],
  ['a fast one after others', 10, 5, 1000],
  ['a slow one, in which another one can end', 1, 800, 1600],
  ['a slow one after others', 10, 800, 3200],
  ['one that has waited for a connection', 10, 20_000, 5000],
])('a proposer that was disturbed waits no longer than this after %s', (_, attempt, ms, longest) => {
  expect(longestPause(attempt, ms)).toBe(longest);
});
