import { describe, expect, it } from 'vitest';
import { pick, seeded } from '../../support/random.ts';
import { type House, SimController } from './controller.ts';
import { SimMachine, STOP_MS } from './machine.ts';
import { Network } from './network.ts';
import { SimRegistry } from './registry.ts';
import { SimSeat } from './seat.ts';
import { World } from './world.ts';

const TTL_MS = 3000;
const RUNS = 600;
const STORM_MS = 25_000;

function build(seed: number): House & { readonly controllers: readonly SimController[] } {
  const world = new World(seeded(seed));
  const house: House = {
    world,
    network: new Network(world),
    registry: new SimRegistry(),
    seat: new SimSeat(world, TTL_MS / 2),
    machines: ['m1', 'm2', 'm3'].map((name) => new SimMachine(name, world)),
    ttlMs: TTL_MS,
  };
  const controllers = ['c1', 'c2'].map((name) => new SimController(name, house));
  return { ...house, controllers };
}

/** Everything that goes wrong, at random moments; and people who change their minds. */
function storm({ world, network, registry, machines, controllers }: ReturnType<typeof build>): void {
  const machine = pick(world.random, machines);
  const dice = world.upTo(10);
  if (dice < 3) network.cut(pick(world.random, ['c1', 'c2']), machine.name, 500 + world.upTo(12_000));
  else if (dice < 4)
    for (const actor of ['c1', 'c2']) network.cut(actor, machine.name, 2000 + world.upTo(9000));
  else if (dice < 6) pick(world.random, controllers).pause(200 + world.upTo(9000));
  else if (dice < 7) machine.startByItself();
  else if (dice < 8) {
    if (!registry.unfit.delete(machine.name) && registry.unfit.size < 2) registry.unfit.add(machine.name);
  } else if (dice < 9)
    registry.put({ target: pick(world.random, ['launched', 'launched', 'loaded', 'inactive']) });
  else if (machine.isOn) {
    machine.losePower();
    world.in(500 + world.upTo(6000), () => machine.boot());
  }
}

/** One run: the violations, and where the unit runs when all has been well for a while. */
function run(seed: number): { readonly violations: readonly string[]; readonly running: readonly string[] } {
  const house = build(seed);
  const { world, network, registry, machines } = house;
  registry.put({ target: 'launched' });
  for (let at = 4000; at < STORM_MS; at += world.upTo(2500)) world.in(at, () => storm(house));
  for (let at = 0; at < STORM_MS; at += 150) world.in(at, () => pick(world.random, machines).startByItself());
  world.runUntil(STORM_MS);
  network.heal();
  registry.unfit.clear();
  registry.put({ target: 'launched' });
  world.runUntil(STORM_MS + 25_000);
  return { violations: world.violations, running: world.running };
}

describe('a fenced unit in a cluster where everything goes wrong', () => {
  it(`never runs twice, and runs again when all is well, in ${RUNS} runs`, () => {
    const wrong: string[] = [];
    for (let seed = 1; seed <= RUNS && wrong.length < 3; seed++) {
      const { violations, running } = run(seed);
      if (violations.length > 0) wrong.push(`seed ${seed}: ${violations[0]}`);
      if (running.length !== 1) wrong.push(`seed ${seed}: runs on ${running.length} machines in the end`);
    }
    expect(wrong).toEqual([]);
  }, 60_000);
});

it('runs elsewhere soon after its machine is cut off', () => {
  const slowest = Array.from({ length: 100 }, (_, index) => timeToMove(index + 1)).reduce((a, b) =>
    Math.max(a, b),
  );
  // The lease, the stop and the margin, counted from the last answer; then one pass.
  expect(slowest).toBeLessThan(TTL_MS * 1.01 + STOP_MS + 1000 + 1000);
});

function timeToMove(seed: number): number {
  const house = build(seed);
  const { world, network, registry } = house;
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
