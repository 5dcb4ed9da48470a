import { expect, it } from 'vitest';
import { FLEET_OPTIONS } from '../../src/unit/placement.ts';
import { randomCluster } from './random-cluster.ts';

/** Other tests cover these: units that replace each other must not conflict, and leases need clocks. */
const ELSEWHERE = new Set<string>(['Replaces', 'Fenced']);

it('random clusters have every option that places units, so that the property tests see it', () => {
  const texts = Array.from({ length: 100 }, (_, seed) =>
    randomCluster(seed).units.map(({ text }) => text),
  ).flat();
  const placing = FLEET_OPTIONS.filter(({ effect }) => effect === 'own' || effect === 'others');
  const missing = placing.filter(
    ({ name }) => !ELSEWHERE.has(name) && !texts.some((text) => text.includes(`${name}=`)),
  );
  expect(missing).toEqual([]);
});
