import { untilAny, withTimeout } from '../base/async.ts';
import type { Machine } from '../machine/machine.ts';
import type { MachineWatch } from './machine-watch.ts';

/** How long a change of the registry waits for the first view of a new machine, in ms. */
const FIRST_VIEW_MS = 1000;

/** A watch that runs until `over` is raised. */
type Running = { readonly over: AbortController; readonly ended: Promise<void> };

/** The watches of the machines of a cluster, which the registry may change at any time. */
export class Watches {
  readonly #make: (machine: Machine) => MachineWatch;
  readonly #byName: Map<string, MachineWatch>;
  readonly #running = new Map<MachineWatch, Running>();
  #signal: AbortSignal | undefined;

  constructor(machines: readonly Machine[], make: (machine: Machine) => MachineWatch) {
    this.#make = make;
    this.#byName = new Map(machines.map((machine) => [machine.name, make(machine)]));
  }

  /** The present watches, by machine name. */
  get byName(): ReadonlyMap<string, MachineWatch> {
    return this.#byName;
  }

  get all(): readonly MachineWatch[] {
    return [...this.#byName.values()];
  }

  /** Runs the watches, and those that {@link follow} adds, until `signal` is raised. */
  run(signal: AbortSignal): void {
    this.#signal = signal;
    for (const watch of this.all) void this.#start(watch);
  }

  /** Resolves after the end of all watches. */
  async ended(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /**
   * Watches `machines` from now on. Resolves when each one that is new, or has another address, has a view, but after
   * {@link FIRST_VIEW_MS} at the latest; until then the view of its old address counts.
   */
  async follow(machines: readonly Machine[]): Promise<void> {
    const next = new Map<string, MachineWatch>();
    for (const machine of machines) {
      const known = this.#byName.get(machine.name);
      const isSame = known?.machine.address === machine.address;
      if (isSame) known.describe(machine);
      next.set(machine.name, isSame ? known : this.#make(machine));
    }
    const added = [...next.values()].filter((watch) => this.#byName.get(watch.machine.name) !== watch);
    const seen = added.map((watch) => Promise.race([watch.whenSeen, this.#start(watch)]));
    await withTimeout(FIRST_VIEW_MS, Promise.all(seen), () => []);
    for (const watch of this.all) if (next.get(watch.machine.name) !== watch) this.#stop(watch);
    this.#byName.clear();
    for (const [name, watch] of next) this.#byName.set(name, watch);
  }

  #start(watch: MachineWatch): Promise<void> {
    if (this.#signal === undefined) throw new TypeError('watches are followed before they run');
    const over = new AbortController();
    const ended = untilAny([this.#signal, over.signal], (end) => watch.run(end)).finally(() => {
      this.#running.delete(watch);
    });
    this.#running.set(watch, { over, ended });
    return ended;
  }

  #stop(watch: MachineWatch): void {
    this.#running.get(watch)?.over.abort();
  }
}
