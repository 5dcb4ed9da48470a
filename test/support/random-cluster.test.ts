import { expect, it } from 'vitest';
import { FLEET_OPTIONS } from '../../src/unit/placement.ts';
import { randomCluster } from './random-cluster.ts';

/**
 * Other tests cover these: units that replace each other must not conflict, leases and reverts need clocks, and two are for
 * folders.
 */
const ELSEWHERE = new Set<string>(['Replaces', 'Fenced', 'Confirm', 'Target', 'Instances']);

it('random clusters have every option of [X-Fleet], so that the property tests see it', () => {
  const texts = Array.from({ length: 100 }, (_, seed) =>
    randomCluster(seed).units.map(({ text }) => text),
  ).flat();
  const missing = FLEET_OPTIONS.filter(
    (option) => !ELSEWHERE.has(option) && !texts.some((text) => text.includes(`${option}=`)),
  );
  expect(missing).toEqual([]);
});
