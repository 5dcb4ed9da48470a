import { CLOCK_DRIFT } from '../../../src/base/time.ts';
import type { DesiredUnit } from '../../../src/cluster/snapshot.ts';
import type { Machine } from '../../../src/machine/machine.ts';
import { desiredUnit } from '../../support/builders.ts';
import { seeded } from '../../support/random.ts';
import { SimMachine, STOP_MS } from './machine.ts';
import { Network } from './network.ts';
import { World } from './world.ts';

export const TTL_MS = 3000;

/** The state that processes share. */
export type SimCluster = {
  readonly world: World;
  readonly network: Network;
  readonly registry: SimRegistry;
  readonly lock: SimLeaderLock;
  readonly machines: readonly SimMachine[];
};

/** A cluster whose clocks differ by up to `drift`. The same seed gives the same cluster and the same events. */
export function createCluster(seed: number, drift: number = CLOCK_DRIFT): SimCluster {
  const world = new World(seeded(seed), drift);
  return {
    world,
    network: new Network(world),
    registry: new SimRegistry(),
    lock: new SimLeaderLock(world, TTL_MS / 2),
    machines: ['m1', 'm2', 'm3'].map((name) => new SimMachine(name, world)),
  };
}

const FLEET = 'Fenced=true\nMachineMetadata=fits=yes';
const UNIT = desiredUnit('a.service', FLEET, {
  target: 'inactive',
  text: `[Service]\nTimeoutStopSec=${STOP_MS}ms\nExecStart=/bin/a\n[X-Fleet]\n${FLEET}\n`,
});

/** A registry with one unit, and the metadata of fleet.conf, which machines fit it. */
export class SimRegistry {
  revision = 1;
  readonly unfit = new Set<string>();
  #unit: DesiredUnit | undefined;

  /** The unit, or none when it was destroyed. */
  get units(): readonly DesiredUnit[] {
    return this.#unit === undefined ? [] : [this.#unit];
  }

  /** Changes the unit, or submits it. */
  put(change: Partial<Pick<DesiredUnit, 'machine' | 'target'>>): void {
    this.revision++;
    this.#unit = { ...(this.#unit ?? UNIT), ...change, token: this.revision };
  }

  remove(): void {
    this.revision++;
    this.#unit = undefined;
  }

  machine(name: string): Machine {
    return { name, address: '10.0.0.1', metadata: { fits: this.unfit.has(name) ? 'no' : 'yes' } };
  }
}

/** The leader lock, with its own clock; the holder must give it up before another process can take it. */
export class SimLeaderLock {
  readonly ttlMs: number;
  readonly #world: World;
  readonly #rate: number;
  #holder: object | undefined;
  #until = 0;

  constructor(world: World, ttlMs: number) {
    this.#world = world;
    this.#rate = world.clockRate();
    this.ttlMs = ttlMs;
  }

  take(holder: object): boolean {
    const now = this.#world.now * this.#rate;
    if (this.#holder !== holder && now < this.#until) return false;
    this.#holder = holder;
    this.#until = now + this.ttlMs;
    return true;
  }

  /** Frees the lock at once, after the end of its holder. */
  release(holder: object): void {
    if (this.#holder === holder) this.#until = 0;
  }
}
