import { heldUntil } from '../../../src/cluster/lease.ts';
import type { MachineView, Observation } from '../../../src/cluster/snapshot.ts';
import { Leases } from '../../../src/controller/leases.ts';
import { toDo } from '../../../src/controller/to-do.ts';
import { Backoff } from '../../../src/controller/waiting.ts';
import { safeTime } from '../../../src/election/leadership.ts';
import type { RegistryView } from '../../../src/registry/view.ts';
import { CLUSTER_ID } from '../../support/builders.ts';
import { type House, TTL_MS } from './house.ts';
import type { SimMachine } from './machine.ts';
import { SimPass, type Views } from './pass.ts';
import { SimProcess } from './process.ts';

/** A controller looks so often whether there is anything to do, in ms. */
const TURN_MS = 400;
const UNIT = 'a.service';

/** A process that does what fleetd does, and decides with its very functions. */
export class SimController {
  readonly name: string;
  readonly #house: House;
  readonly #process: SimProcess;
  readonly #leases: Leases;
  readonly #pass: SimPass;
  readonly #views = new Map<string, MachineView>();
  readonly #backoff = new Backoff();
  #heldUntil = 0;
  #lockBackAt = 0;
  #isBusy: boolean = false;

  constructor(name: string, house: House) {
    const process = new SimProcess(name, house);
    this.name = name;
    this.#house = house;
    this.#process = process;
    this.#leases = new Leases({
      clock: { now: () => process.now },
      agentTtlMs: TTL_MS,
      leads: () => process.now < this.#heldUntil,
    });
    this.#pass = new SimPass({
      process,
      leases: () => this.#leases.ends,
      known: ({ name: machine }) => this.#knownSilent(machine),
      silent: (machine, asked) => this.#silent(machine, asked),
    });
    for (const machine of house.machines) process.in(house.world.upTo(100), () => this.#watch(machine));
    process.in(0, () => this.#campaign());
    process.in(0, () => this.#turn());
  }

  /** Pauses for so many ms. */
  pause(ms: number): void {
    this.#process.pause(ms);
    if (ms > 1000 + TTL_MS / 2) this.#process.in(0, () => this.#overslept());
  }

  /** It is gone; its leader lock may be free at once, or be kept for its time. */
  crash(): void {
    const { lock, world } = this.#house;
    this.#process.end();
    if (world.chance(0.5)) lock.leave(this);
  }

  /** Cannot reach what its leader lock is in for so many ms, and works on. */
  loseLock(ms: number): void {
    this.#lockBackAt = this.#process.now + ms;
  }

  #overslept(): void {
    for (const [name, view] of this.#views) {
      if (view.unreachable !== undefined)
        this.#views.set(name, { ...view, unreachable: { ...view.unreachable, since: this.#process.now } });
    }
    this.#leases.reset();
  }

  #campaign(): void {
    const { lock } = this.#house;
    const asked = this.#process.now;
    // It asks a store, and may be asleep before it knows the answer.
    if (asked >= this.#lockBackAt && lock.take(this)) {
      this.#process.in(0, () => {
        this.#heldUntil = asked + safeTime(lock);
      });
    }
    this.#process.in(lock.ttlMs / 3, () => this.#campaign());
  }

  #turn(): void {
    if (!this.#isBusy) this.#decide();
    this.#process.in(Math.min(TURN_MS, this.#untilLeaseEnds()), () => this.#turn());
  }

  /** How long it is until the next lease on a silent machine is over, in ms. */
  #untilLeaseEnds(): number {
    const [unit] = this.#house.registry.units;
    const silent = [...this.#views.values()].filter(({ unreachable }) => unreachable !== undefined);
    if (unit === undefined || silent.length === 0) return TURN_MS;
    const { ends } = this.#leases;
    const turns = silent.map(({ id }) => heldUntil(unit, id, ends) - this.#process.now);
    return Math.min(...turns.filter((ms) => ms > 0)) + 0.01;
  }

  /** Asks a machine again and again, as a MachineWatch does. */
  #watch(machine: SimMachine): void {
    const process = this.#process;
    const asked = process.now;
    let isOver = false;
    const next = (ms: number): void => {
      isOver = true;
      process.in(ms, () => this.#watch(machine));
    };
    const settle = (observation: Observation): void => {
      const before = this.#views.get(machine.name);
      const backSince = before?.unreachable === undefined ? before?.backSince : process.now;
      const place = this.#house.registry.machine(machine.name);
      const view = { machine: place, id: machine.id, observation, unreachable: undefined, backSince };
      this.#views.set(machine.name, view);
      next(TTL_MS / 3);
    };
    process.in(TTL_MS / 3, () => {
      if (isOver) return;
      this.#silent(machine, asked);
      next(250);
    });
    process.ask<Observation>(
      machine,
      (reply) => reply(machine.observe()),
      (observation) => {
        const wasSilent = this.#views.get(machine.name)?.observation === undefined;
        const lease = this.#leases.grant(observation, wasSilent);
        if (isOver && lease === undefined) return;
        if (lease === undefined) return settle(observation);
        process.ask<boolean>(
          machine,
          (reply) => reply(machine.extend(lease)),
          (taken) => {
            if (!isOver) settle(taken ? { ...observation, lease } : observation);
          },
        );
      },
    );
  }

  #knownSilent(machine: string): MachineView | undefined {
    const view = this.#views.get(machine);
    return view?.unreachable === undefined ? undefined : view;
  }

  #silent({ name, id }: SimMachine, asked: number): MachineView {
    const since = this.#views.get(name)?.unreachable?.since ?? asked;
    const unreachable = { since, code: 'ssh-timeout', message: '', hint: undefined };
    const machine = this.#house.registry.machine(name);
    const view = { machine, id, observation: undefined, unreachable, backSince: undefined };
    this.#views.set(name, view);
    return view;
  }

  #decide(): void {
    const { machines, registry } = this.#house;
    if (!this.#leases.leads || this.#views.size < machines.length) return;
    const view = {
      clusterId: CLUSTER_ID,
      units: new Map(registry.units.map((unit) => [unit.name, unit])),
    } as unknown as RegistryView;
    this.#leases.admit(this.#leases.waiting([...this.#views.values()], view));
    const { groups } = toDo(this.#pass.snapshot(this.#views));
    if (groups.length === 0 || this.#backoff.isWaiting(UNIT, this.#token, this.#process.now)) return;
    this.#isBusy = true;
    this.#pass.run((went) => this.#finish(went));
  }

  /** A pass that failed is tried again later. */
  #finish(went: boolean): void {
    if (went) this.#backoff.succeeded(UNIT);
    else this.#backoff.failed(UNIT, this.#token, this.#process.now);
    // What was touched is looked at again before anything else is decided.
    this.#pass.look((views) => {
      this.#learn(views);
      this.#isBusy = false;
    });
  }

  get #token(): number {
    const { registry } = this.#house;
    return registry.units[0]?.token ?? registry.revision;
  }

  #learn(views: Views): void {
    for (const [name, view] of views) {
      const now = this.#views.get(name);
      const lease = now?.observation?.lease;
      if (now?.observation === undefined || view.observation === undefined) continue;
      this.#views.set(name, {
        ...now,
        observation: { ...view.observation, lease: view.observation.lease ?? lease },
      });
    }
  }
}
