import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from 'vitest';
import { type Deferred, deferred } from '../../src/base/async.ts';
import { FleetError } from '../../src/base/errors.ts';
import { Controller } from '../../src/controller/controller.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { ControllerEvent } from '../../src/reconcile/events.ts';
import { createRegistry, withWholeViews } from '../../src/registry/registry.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import type { MachineSession, SystemdDriver } from '../../src/systemd/driver.ts';
import { desiredUnit, idOf } from '../support/builders.ts';
import { type FakeMachines, fakeMachines } from '../support/fake-machines.ts';
import { createMemoryStore } from '../support/memory-store.ts';

/** How long a machine may be unreachable here, in ms. */
export const TTL_MS = 600;
/** The interval of observations, in ms. */
export const INTERVAL_MS = 50;

type HouseOptions = {
  readonly leads?: () => boolean;
  readonly agentTtlMs?: number;
  readonly intervalMs?: number;
  readonly deadlineMs?: number;
  /** The ways to machines that are not in memory, by their names. */
  readonly drivers?: ReadonlyMap<string, SystemdDriver>;
};

/** A controller at work on machines in memory, in real time; it ends with the test. */
export class House {
  readonly fakes: FakeMachines;
  readonly events: ControllerEvent[] = [];
  /** Further receivers of events. */
  readonly listeners: ((event: ControllerEvent) => void)[] = [];
  readonly store = createMemoryStore();
  readonly registry = createRegistry(this.store, { clock: { now: () => Date.now() }, author: 'me@here' });
  /** Machines that take a connection and never answer. */
  readonly hung = new Set<string>();
  /** The duration of each change, in ms. */
  changeMs = 0;
  /** Set, the registry cannot be read. */
  registryError: FleetError | undefined;
  /** The registry as the controller has it. */
  readonly watchedRegistry = withWholeViews({ ...this.registry, read: (use) => this.#read(use) });
  readonly #stop = new AbortController();
  readonly #sessions: { readonly machine: string; readonly end: Deferred<void> }[] = [];
  readonly controller: Controller;
  readonly #running: Promise<void>;

  /** `machines` are names, or machines whole. */
  constructor(
    machines: readonly (string | Machine)[],
    {
      leads = () => true,
      agentTtlMs = TTL_MS,
      intervalMs = INTERVAL_MS,
      deadlineMs = 100,
      drivers = new Map(),
    }: HouseOptions = {},
  ) {
    this.fakes = fakeMachines(
      machines.map((machine) =>
        typeof machine === 'string'
          ? { name: machine, address: `${machine}.example`, metadata: { name: machine } }
          : machine,
      ),
    );
    this.controller = new Controller({
      ports: {
        registry: this.watchedRegistry,
        driver: this.#driver(drivers),
        clock: { now: () => Date.now() },
        observer: { id: 'me', uptime: { now: () => Date.now() } },
        machines: this.fakes.machines,
        agentTtlMs,
        cutOff: 0.5,
      },
      intervalMs,
      deadlineMs,
      leads,
      emit: (event) => {
        for (const listener of [(told: ControllerEvent) => void this.events.push(told), ...this.listeners])
          listener(event);
      },
    });
    this.#running = this.controller.run(this.#stop.signal);
    houses.push(this);
  }

  /** Has the registry want units; `fleet` is their `[X-Fleet]`. */
  async want(
    target: 'inactive' | 'loaded' | 'launched',
    fleet: string,
    ...names: readonly string[]
  ): Promise<void> {
    await this.registry.update((view) =>
      names.map((name) => {
        const { text, hash, digest } = desiredUnit(name, fleet);
        const { machine } = view.units.get(name) ?? {};
        return { kind: 'put-unit', unit: { name, text, hash, digest, target, machine } };
      }),
    );
  }

  /** The machines on which a unit runs. */
  runs(unit: string): readonly string[] {
    const isUp = (name: string) => this.fakes.of(name).units.get(unit)?.state.active === 'active';
    return this.fakes.machines.map(({ name }) => name).filter(isUp);
  }

  /** A machine that ends its sessions and refuses connections. */
  refuse(name: string): void {
    this.fakes.disconnect(name, new FleetError('ssh-refused', 'Connection refused'));
    for (const { machine, end } of this.#sessions) if (machine === name) end.resolve();
  }

  /** Where a unit is assigned. */
  async assigned(unit: string): Promise<string | undefined> {
    const id = (await this.registry.load()).units.get(unit)?.machine;
    return this.fakes.machines.find(({ name }) => idOf(name) === id)?.name;
  }

  kinds(): readonly string[] {
    return this.events.map(({ kind }) => kind);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #read<T>(use: (view: RegistryView) => T): Promise<T> {
    return this.registryError === undefined ? this.registry.read(use) : Promise.reject(this.registryError);
  }

  #driver(drivers: ReadonlyMap<string, SystemdDriver>): SystemdDriver {
    const never = new Promise<never>(() => undefined);
    const answer = <T>(name: string, work: () => Promise<T>): Promise<T> =>
      this.hung.has(name) ? never : work();
    return {
      ...this.fakes.driver,
      connect: (machine): MachineSession => {
        const other = drivers.get(machine.name);
        if (other !== undefined) return other.connect(machine);
        const session = this.fakes.driver.connect(machine);
        const end = deferred<void>();
        this.#sessions.push({ machine: machine.name, end });
        return {
          ...session,
          ended: end.promise,
          ask: (query) => answer(machine.name, () => session.ask(query)),
          change: async (...given) => {
            if (this.changeMs > 0) await sleep(this.changeMs);
            return answer(machine.name, () => session.change(...given));
          },
        };
      },
    };
  }
}

const houses: House[] = [];

afterEach(async () => {
  await Promise.all(houses.splice(0).map((house) => house.end()));
});

/** The store, away. */
export const AWAY = new FleetError('registry-unavailable', 'Cannot read the registry: it is away');
