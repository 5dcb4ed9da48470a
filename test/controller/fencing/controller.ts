import type { UnitOutcome } from '../../../src/cluster/failure.ts';
import type {
  ClusterSnapshot,
  DesiredUnit,
  MachineView,
  Observation,
} from '../../../src/cluster/snapshot.ts';
import { Leases } from '../../../src/controller/leases.ts';
import { toDo } from '../../../src/controller/to-do.ts';
import { plan } from '../../../src/plan/plan.ts';
import type { MachinePlan } from '../../../src/plan/step.ts';
import { splitMoves } from '../../../src/reconcile/handover.ts';
import type { RegistryView } from '../../../src/registry/view.ts';
import { placementsOf } from '../../../src/schedule/decision.ts';
import { schedule } from '../../../src/schedule/schedule.ts';
import { CLUSTER_ID } from '../../support/builders.ts';
import type { SimMachine } from './machine.ts';
import type { Network } from './network.ts';
import type { SimRegistry } from './registry.ts';
import type { SimSeat } from './seat.ts';
import type { World } from './world.ts';

const SCOPE: ReadonlySet<string> = new Set(['a.service']);

export type House = {
  readonly world: World;
  readonly network: Network;
  readonly registry: SimRegistry;
  readonly seat: SimSeat;
  readonly machines: readonly SimMachine[];
  readonly ttlMs: number;
};

/**
 * A process that does what fleetd does, and decides with its very functions. It may stand still at any moment, for
 * any time, and then goes on with what it had in hand.
 */
export class SimController {
  readonly #house: House;
  readonly #name: string;
  readonly #rate: number;
  readonly #leases: Leases;
  readonly #views = new Map<string, MachineView>();
  #pausedUntil = 0;
  #heldUntil = 0;
  #isBusy: boolean = false;
  #retryAt = 0;
  #failures = 0;

  constructor(name: string, house: House) {
    this.#name = name;
    this.#house = house;
    this.#rate = 0.996 + house.world.upTo(0.008);
    this.#leases = new Leases({
      clock: { now: () => this.#now() },
      agentTtlMs: house.ttlMs,
      leads: () => this.#now() < this.#heldUntil,
    });
    for (const machine of house.machines) this.#in(house.world.upTo(100), () => this.#watch(machine));
    this.#campaign();
    this.#turn();
  }

  /** Stands still for so many ms. */
  pause(ms: number): void {
    const { world, ttlMs } = this.#house;
    this.#pausedUntil = Math.max(this.#pausedUntil, world.now + ms);
    if (ms > 1000 + ttlMs / 2) this.#in(0, () => this.#overslept());
  }

  #overslept(): void {
    for (const [name, view] of this.#views) {
      if (view.silence !== undefined)
        this.#views.set(name, { ...view, silence: { ...view.silence, since: this.#now() } });
    }
    this.#leases.beginAnew();
  }

  #now(): number {
    return 1_000_000 + this.#house.world.now * this.#rate;
  }

  /** Has `step` happen when this process is awake, by then or later. */
  #in(ms: number, step: () => void): void {
    const { world } = this.#house;
    world.in(ms, () => {
      const left = this.#pausedUntil - world.now;
      if (left > 0) this.#in(left, step);
      else step();
    });
  }

  #ask<T>(
    machine: SimMachine,
    serve: (reply: (answer: T) => void) => void,
    answered: (answer: T) => void,
  ): void {
    this.#house.network.ask(this.#name, machine, serve, (answer: T) => this.#in(0, () => answered(answer)));
  }

  #campaign(): void {
    const { seat } = this.#house;
    const asked = this.#now();
    // It asks a store, and may be asleep before it knows the answer.
    if (seat.take(this.#name)) {
      this.#in(0, () => {
        this.#heldUntil = asked + seat.ttlMs * 0.98;
      });
    }
    this.#in(seat.ttlMs / 3, () => this.#campaign());
  }

  #turn(): void {
    if (!this.#isBusy && this.#now() >= this.#retryAt) this.#decide();
    this.#in(400, () => this.#turn());
  }

  /** Asks a machine again and again, as a MachineWatch does. */
  #watch(machine: SimMachine): void {
    const { ttlMs } = this.#house;
    const asked = this.#now();
    let isOver = false;
    const next = (ms: number): void => {
      isOver = true;
      this.#in(ms, () => this.#watch(machine));
    };
    const settle = (observation: Observation): void => {
      const before = this.#views.get(machine.name);
      const backSince = before?.silence === undefined ? before?.backSince : this.#now();
      this.#see(machine, { id: machine.id, observation, silence: undefined, backSince });
      next(ttlMs / 3);
    };
    this.#in(ttlMs / 3, () => {
      if (isOver) return;
      this.#silent(machine, asked);
      next(250);
    });
    this.#ask<Observation>(
      machine,
      (reply) => reply(machine.observe()),
      (observation) => {
        const lease = this.#leases.grant(
          observation,
          this.#views.get(machine.name)?.observation === undefined,
        );
        if (isOver && lease === undefined) return;
        if (lease === undefined) return settle(observation);
        this.#ask<boolean>(
          machine,
          (reply) => reply(machine.extend(lease)),
          (taken) => {
            if (!isOver) settle(taken ? { ...observation, lease } : observation);
          },
        );
      },
    );
  }

  #see({ name }: SimMachine, view: Omit<MachineView, 'machine'>): void {
    this.#views.set(name, { machine: this.#house.registry.machine(name), ...view });
  }

  #silent(machine: SimMachine, asked: number): void {
    const before = this.#views.get(machine.name);
    const since = before?.silence?.since ?? asked;
    const silence = { since, code: 'ssh-timeout', message: '', hint: undefined };
    this.#see(machine, { id: machine.id, observation: undefined, silence, backSince: undefined });
  }

  #snapshot(views: ReadonlyMap<string, MachineView>): ClusterSnapshot {
    const { registry, ttlMs } = this.#house;
    return {
      now: this.#now(),
      agentTtlMs: ttlMs,
      cutOff: 0.5,
      clusterId: CLUSTER_ID,
      revision: registry.revision,
      units: [registry.unit],
      machines: [...views.values()].map((view) => ({
        ...view,
        machine: registry.machine(view.machine.name),
      })),
      cordons: new Map(),
      drained: undefined,
      leases: this.#leases.ends,
    };
  }

  #decide(): void {
    const { machines, registry } = this.#house;
    if (!this.#leases.leads || this.#views.size < machines.length) return;
    const view = {
      clusterId: CLUSTER_ID,
      units: new Map([['a.service', registry.unit]]),
    } as unknown as RegistryView;
    this.#leases.admit(this.#leases.waiting([...this.#views.values()], view));
    const { groups } = toDo(this.#snapshot(this.#views));
    if (groups.length === 0) return;
    this.#isBusy = true;
    this.#look(machines, new Map(), (views) => this.#assign(views));
  }

  /** Asks every machine anew that is not silent; the answers, and who gave none, are what a pass rests on. */
  #look(
    machines: readonly SimMachine[],
    seen: Map<string, MachineView>,
    done: (views: ReadonlyMap<string, MachineView>) => void,
  ): void {
    let left = machines.length;
    const settle = (name: string): void => {
      const view = this.#views.get(name);
      if (view !== undefined && !seen.has(name)) seen.set(name, view);
      if (--left === 0) done(seen);
    };
    for (const machine of machines) {
      if (this.#views.get(machine.name)?.silence !== undefined) {
        settle(machine.name);
        continue;
      }
      const asked = this.#now();
      this.#bounded<Observation>(
        machine,
        this.#house.ttlMs / 3,
        (reply) => reply(machine.observe()),
        (observation) => {
          if (observation === undefined) this.#silent(machine, asked);
          else {
            const { id } = machine;
            const place = this.#house.registry.machine(machine.name);
            seen.set(machine.name, {
              machine: place,
              id,
              observation,
              silence: undefined,
              backSince: undefined,
            });
          }
          settle(machine.name);
        },
      );
    }
  }

  /** An answer, or undefined when none came in time. */
  #bounded<T>(
    machine: SimMachine,
    ms: number,
    serve: (reply: (answer: T) => void) => void,
    done: (answer: T | undefined) => void,
  ): void {
    let isOver = false;
    const end = (answer: T | undefined): void => {
      if (!isOver) done(answer);
      isOver = true;
    };
    this.#in(ms, () => end(undefined));
    this.#ask<T>(machine, serve, end);
  }

  /** Decides from the registry as it is, and stores that, unless somebody else was faster. */
  #assign(views: ReadonlyMap<string, MachineView>): void {
    const { registry, world } = this.#house;
    const snapshot = this.#snapshot(views);
    const decisions = schedule(snapshot, SCOPE);
    const [decision] = decisions;
    this.#in(world.upTo(5), () => {
      if (registry.revision !== snapshot.revision) return this.#assign(views);
      if (decision?.kind === 'place' || decision?.kind === 'move')
        registry.put({ machine: decision.machine });
      const after = this.#snapshot(views);
      this.#in(world.upTo(5), () => this.#carryOut(after, decisions));
    });
  }

  #carryOut(snapshot: ClusterSnapshot, decisions: ReturnType<typeof schedule>): void {
    const plans = plan(snapshot, placementsOf(decisions, SCOPE));
    const { before, main, after } = splitMoves(plans, decisions, snapshot);
    this.#send(before, (went) => {
      if (!went) return this.#finish(false, snapshot.units);
      this.#send([...main, ...after], (done) => {
        const isGone = done && decisions.some(({ kind }) => kind === 'release');
        this.#finish(done, snapshot.units, isGone);
      });
    });
  }

  #send(plans: readonly MachinePlan[], done: (went: boolean) => void): void {
    const { machines } = this.#house;
    let left = plans.length;
    let went = true;
    if (left === 0) {
      done(true);
      return;
    }
    for (const { machine: name, changes } of plans) {
      const machine = machines.find((each) => each.name === name);
      const [change] = changes;
      if (machine === undefined || change === undefined) throw new Error(`no change on ${name}`);
      const settle = (ok: boolean): void => {
        went &&= ok;
        if (--left === 0) done(went);
      };
      if (change.obstacle !== undefined) settle(false);
      else
        this.#bounded<{ readonly failure: UnitOutcome['failure'] }>(
          machine,
          5000,
          (reply) => machine.change(change, (failure) => reply({ failure })),
          (answer) => settle(answer !== undefined && answer.failure === undefined),
        );
    }
  }

  /** A unit that is wanted nowhere and known to be gone loses its assignment; a pass that failed is tried again later. */
  #finish(went: boolean, [unit]: readonly DesiredUnit[], isGone = false): void {
    const { registry } = this.#house;
    this.#failures = went ? 0 : Math.min(this.#failures + 1, 4);
    this.#retryAt = this.#now() + (went ? 0 : 500 * 2 ** (this.#failures - 1));
    if (isGone && unit !== undefined && registry.unit.token === unit.token && unit.machine !== undefined)
      registry.put({ machine: undefined });
    // What was touched is looked at again before anything else is decided.
    this.#look(this.#house.machines, new Map(), (views) => {
      for (const [name, view] of views) {
        const now = this.#views.get(name);
        const lease = now?.observation?.lease;
        if (now?.observation === undefined || view.observation === undefined) continue;
        this.#views.set(name, {
          ...now,
          observation: { ...view.observation, lease: view.observation.lease ?? lease },
        });
      }
      this.#isBusy = false;
    });
  }
}
