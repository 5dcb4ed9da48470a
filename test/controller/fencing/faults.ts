import { pick } from '../../support/random.ts';
import { createCluster, type SimCluster } from './cluster.ts';
import { SimController } from './controller.ts';
import { fleetctl, VERBS, type Verb } from './fleetctl.ts';
import type { SimMachine } from './machine.ts';

export const FAULTS_MS = 22_000;
const CALM_MS = 20_000;

/** Runs controllers and commands in a cluster, and injects faults. */
export class FaultInjector {
  readonly cluster: SimCluster;
  readonly controllers: SimController[];
  #isolatedUntil = 0;
  /** The kinds of faults of this run: a selection, so that each of them occurs often. */
  readonly #kinds: readonly (() => void)[];

  constructor(cluster: SimCluster) {
    const { world } = cluster;
    this.cluster = cluster;
    this.controllers = ['c1', 'c2'].map((name) => new SimController(name, cluster));
    const kinds = [
      () => this.#part(pick(world.random, ['c1', 'c2', 'fleetctl']), 500 + world.upTo(12_000)),
      () => pick(world.random, this.controllers).pause(200 + world.upTo(9000)),
      () => this.#crash(),
      () => this.#loseLock(),
      () => this.#changePlacement(),
      () => this.command(),
      () => this.#losePower(),
    ];
    this.#kinds = [() => this.#isolate(), ...kinds.filter(() => world.chance(0.4))];
  }

  /** Injects a fault, or runs a command. */
  inject(): void {
    pick(this.cluster.world.random, this.#kinds)();
  }

  /** Runs fleetctl, most often to start the unit. */
  command(): void {
    const { world, registry } = this.cluster;
    const isDown = registry.units[0]?.target !== 'launched';
    const verb = world.chance(isDown ? 0.8 : 0.2) ? 'start' : pick(world.random, VERBS);
    this.#begin(verb);
  }

  /** Runs a fleetctl that may be paused (^Z) or ended (^C) at any time. */
  #begin(verb: Verb): void {
    const { world } = this.cluster;
    const command = fleetctl(this.cluster, verb);
    const dice = world.random();
    if (dice < 0.5)
      world.in(world.upTo(1500), () => command.pause(world.upTo(world.chance(0.5) ? 2000 : 14_000)));
    else if (dice < 0.6) world.in(world.upTo(1500), () => command.end());
  }

  #part(actor: string, ms: number): void {
    this.cluster.network.cut(actor, this.#victim().name, ms);
  }

  /** Makes one machine unreachable for about as long as its lease may hold; with two of three unreachable, nothing would move. */
  #isolate(): void {
    const { world, network } = this.cluster;
    if (world.now < this.#isolatedUntil) return;
    network.reconnectAll();
    const { name } = this.#victim();
    const ms = 4000 + world.upTo(5000);
    this.#isolatedUntil = world.now + ms;
    for (const actor of ['c1', 'c2', 'fleetctl']) network.cut(actor, name, ms);
  }

  /** Changes the machine that the unit must not be on, repeatedly, perhaps before it has moved. */
  #changePlacement(): void {
    const { world, registry } = this.cluster;
    const turn = (): void => {
      registry.unfit.clear();
      registry.unfit.add(this.#victim().name);
    };
    for (let at = 0; at < 2000; at += 100 + world.upTo(700)) {
      world.in(at, turn);
      if (world.chance(0.5)) world.in(at, () => this.#begin('reconcile'));
    }
    if (world.chance(0.5)) world.in(world.upTo(2500), () => this.#isolate());
  }

  #losePower(): void {
    const { world } = this.cluster;
    const machine = this.#victim();
    if (!machine.isOn) return;
    machine.losePower();
    world.in(500 + world.upTo(6000), () => machine.boot());
  }

  /** Crashes a controller, and starts another one after a while. */
  #crash(): void {
    const { world } = this.cluster;
    const crashed = pick(world.random, this.controllers);
    crashed.crash();
    const next = new SimController(crashed.name, this.cluster);
    next.pause(200 + world.upTo(4000));
    this.controllers.splice(this.controllers.indexOf(crashed), 1, next);
  }

  /** Another controller leads from now on, and may not reach all that the first one reaches still. */
  #loseLock(): void {
    const { world } = this.cluster;
    const first = pick(world.random, this.controllers);
    first.loseLock(1000 + world.upTo(9000));
    for (const { name } of this.controllers)
      if (name !== first.name && world.chance(0.7)) this.#part(name, 4000 + world.upTo(8000));
  }

  /** A machine, most often the one that has the unit or is to have it. */
  #victim(): SimMachine {
    const { world, machines, registry } = this.cluster;
    const chosen = machines.filter(({ id }) => id === registry.units[0]?.machine);
    return pick(world.random, chosen.length > 0 && world.chance(0.8) ? chosen : machines);
  }
}

/** One run: what was wrong, and where the unit runs when all has been well for a while. */
export function run(
  seed: number,
  drift?: number,
): { readonly violations: readonly string[]; readonly running: readonly string[] } {
  const cluster = createCluster(seed, drift);
  const { world, network, registry, machines } = cluster;
  const faults = new FaultInjector(cluster);
  registry.put({ target: 'launched' });
  for (let at = 3000; at < FAULTS_MS; at += world.upTo(4000)) world.in(at, () => faults.inject());
  for (let at = 0; at < FAULTS_MS; at += 150)
    world.in(at, () => pick(world.random, machines).startByItself());
  world.runUntil(FAULTS_MS);
  network.heal();
  registry.unfit.clear();
  registry.put({ target: 'launched' });
  world.runUntil(FAULTS_MS + CALM_MS);
  return { violations: world.violations, running: world.running };
}
