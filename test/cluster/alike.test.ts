import { expect, test } from 'vitest';
import { isAlike } from '../../src/cluster/unit-state.ts';

const STATE = { active: 'active', memoryBytes: 1, dropIns: ['a'] };
const UNIT = { name: 'web.service', state: STATE, digest: undefined };
const OBSERVATION = { id: 'a', clock: 1, units: [UNIT] };

test.each([
  ['itself', OBSERVATION, true],
  ['an equal copy', structuredClone(OBSERVATION), true],
  ['other measures', { ...OBSERVATION, clock: 2, uptimeSeconds: 3 }, true],
  [
    'other measures of a unit',
    { ...OBSERVATION, units: [{ ...UNIT, state: { ...STATE, memoryBytes: 2 } }] },
    true,
  ],
  ['an undefined property more', { ...OBSERVATION, lease: undefined }, true],
  ['a property more', { ...OBSERVATION, lease: {} }, false],
  ['a property less', { id: 'a', clock: 1 }, false],
  ['another value', { ...OBSERVATION, id: 'b' }, false],
  ['another type', { ...OBSERVATION, units: {} }, false],
  ['null', { ...OBSERVATION, units: null }, false],
  ['a unit more', { ...OBSERVATION, units: [UNIT, UNIT] }, false],
  ['a unit less', { ...OBSERVATION, units: [] }, false],
  ['another state', { ...OBSERVATION, units: [{ ...UNIT, state: { ...STATE, active: 'failed' } }] }, false],
  ['another drop-in', { ...OBSERVATION, units: [{ ...UNIT, state: { ...STATE, dropIns: ['b'] } }] }, false],
])('%s', (_, other, expected) => {
  expect([isAlike(OBSERVATION, other), isAlike(other, OBSERVATION)]).toEqual([expected, expected]);
});
