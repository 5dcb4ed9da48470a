import { CLOCK_DRIFT } from '../../../src/base/time.ts';
import { seeded } from '../../support/random.ts';
import { SimLeaderLock } from './leader-lock.ts';
import { SimMachine } from './machine.ts';
import { Network } from './network.ts';
import { SimRegistry } from './registry.ts';
import { World } from './world.ts';

export const TTL_MS = 3000;

/** All that processes share. */
export type House = {
  readonly world: World;
  readonly network: Network;
  readonly registry: SimRegistry;
  readonly lock: SimLeaderLock;
  readonly machines: readonly SimMachine[];
};

/** A house where clocks differ by up to `drift`. The same seed gives the same house, and all that happens in it. */
export function build(seed: number, drift: number = CLOCK_DRIFT): House {
  const world = new World(seeded(seed), drift);
  return {
    world,
    network: new Network(world),
    registry: new SimRegistry(),
    lock: new SimLeaderLock(world, TTL_MS / 2),
    machines: ['m1', 'm2', 'm3'].map((name) => new SimMachine(name, world)),
  };
}
