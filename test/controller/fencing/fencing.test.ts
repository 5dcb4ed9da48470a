import { describe, expect, it } from 'vitest';
import { CLOCK_DRIFT } from '../../../src/base/time.ts';
import { pick, seeds } from '../../support/random.ts';
import { createCluster, TTL_MS } from './cluster.ts';
import { FAULTS_MS, FaultInjector, run } from './faults.ts';
import { STOP_MS } from './machine.ts';

/** Among them are seeds that find a lease of a machine without the tenth for its clock: 316, 377, 415. */
const SEEDS = seeds(120).map((seed) => seed + 300);
/** From the last answer of a machine until no process of the unit can run there, by the fastest clock. */
const HELD_MS = (TTL_MS + STOP_MS + 1000) * (1 + CLOCK_DRIFT);

/**
 * These runs do not cover the token that is checked again after a stop (test/systemd/at-once.test.ts), which needs a new text,
 * and the tenth that a leader leaves out of the time of its lock (test/election/leadership.test.ts), which needs a conflict of
 * a few ms.
 */
describe('a fenced unit in a cluster with many faults', () => {
  it(`never runs twice, and runs again after the faults, in ${SEEDS.length} runs`, () => {
    const wrong: string[] = [];
    for (const seed of SEEDS) {
      if (wrong.length === 3) break;
      const { violations, running } = run(seed);
      if (violations.length > 0) wrong.push(`seed ${seed}: ${violations[0]}`);
      else if (running.length !== 1)
        wrong.push(`seed ${seed}: runs on ${running.length} machines in the end`);
    }
    expect(wrong).toEqual([]);
  });

  it('runs twice if clocks differ by more than CLOCK_DRIFT', () => {
    // The first of them that finds it is 63.
    const found = seeds(500).find((seed) => seed > 60 && run(seed, 2 * CLOCK_DRIFT).violations.length > 0);
    expect(found).toBeDefined();
  });
});

it('runs elsewhere soon after its machine is cut off', () => {
  const slowest = seeds(30)
    .map(timeToMove)
    .reduce((a, b) => Math.max(a, b));
  // Counted from the last answer; then one pass.
  expect(slowest).toBeLessThan(HELD_MS + 1000);
});

function timeToMove(seed: number): number {
  const cluster = createCluster(seed);
  const { world, network, registry } = cluster;
  new FaultInjector(cluster);
  network.heal();
  registry.put({ target: 'launched' });
  world.runUntil(10_000);
  const [from = ''] = world.running;
  const cut = world.now;
  for (const actor of ['c1', 'c2']) network.cut(actor, from, 60_000);
  while (world.now < cut + 30_000) {
    world.runUntil(world.now + 10);
    const [here] = world.running;
    if (here !== undefined && here !== from) return world.now - cut;
  }
  return Number.POSITIVE_INFINITY;
}

it('is started by no fleetctl when there is no controller', () => {
  let started = 0;
  for (let seed = 1; seed <= 50; seed++) {
    const cluster = createCluster(seed);
    const { world, machines } = cluster;
    const faults = new FaultInjector(cluster);
    for (let at = 0; at < FAULTS_MS; at += world.upTo(1000)) world.in(at, () => faults.command());
    for (let at = 0; at < FAULTS_MS; at += 150)
      world.in(at, () => pick(world.random, machines).startByItself());
    world.runUntil(8000);
    started += world.begun;
    for (const controller of faults.controllers) controller.crash();
    world.runUntil(8000 + HELD_MS);
    const before = world.begun;
    world.runUntil(FAULTS_MS);
    expect(world.begun).toBe(before);
    expect(world.running).toEqual([]);
  }
  expect(started).toBeGreaterThan(25);
});
