import { paceOf } from '../../../src/cli/fleetd/serve.ts';
import { heldUntil } from '../../../src/cluster/lease.ts';
import type { MachineView, Observation } from '../../../src/cluster/snapshot.ts';
import { Leases } from '../../../src/controller/leases.ts';
import { toDo } from '../../../src/controller/to-do.ts';
import { Backoff } from '../../../src/controller/waiting.ts';
import { safeTime } from '../../../src/election/leadership.ts';
import type { RegistryView } from '../../../src/registry/view.ts';
import { CLUSTER_ID } from '../../support/builders.ts';
import { type SimCluster, TTL_MS } from './cluster.ts';
import type { SimMachine } from './machine.ts';
import { SimPass, type Views } from './pass.ts';
import { SimProcess } from './process.ts';

/** The interval at which a controller decides, in ms. */
const TURN_MS = 400;
const { intervalMs, deadlineMs } = paceOf({ agent_ttl: TTL_MS });
const UNIT = 'a.service';

/** A process like fleetd, which decides with the same functions. */
export class SimController {
  readonly name: string;
  readonly #cluster: SimCluster;
  readonly #process: SimProcess;
  readonly #leases: Leases;
  readonly #pass: SimPass;
  readonly #views = new Map<string, MachineView>();
  /** When each machine gave its last answer. */
  readonly #answered = new Map<string, number>();
  readonly #backoff = new Backoff();
  #heldUntil = 0;
  #lockBackAt = 0;
  #isBusy: boolean = false;

  constructor(name: string, cluster: SimCluster) {
    const process = new SimProcess(name, cluster);
    this.name = name;
    this.#cluster = cluster;
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
      unreachable: (machine, asked) => this.#unreachable(machine, asked),
    });
    for (const machine of cluster.machines) process.in(cluster.world.upTo(100), () => this.#watch(machine));
    process.in(0, () => this.#campaign());
    process.in(0, () => this.#turn());
  }

  /** Pauses the process, in ms. */
  pause(ms: number): void {
    this.#process.pause(ms);
    if (ms > 1000 + TTL_MS / 2) this.#process.in(0, () => this.#resumeAfterPause());
  }

  /** Ends the process; its leader lock is free at once, or after its time. */
  crash(): void {
    const { lock, world } = this.#cluster;
    this.#process.end();
    if (world.chance(0.5)) lock.release(this);
  }

  /** Cuts the process off from the store of the leader lock, in ms. */
  loseLock(ms: number): void {
    this.#lockBackAt = this.#process.now + ms;
  }

  #resumeAfterPause(): void {
    this.#answered.clear();
    for (const [name, view] of this.#views) {
      if (view.unreachable !== undefined)
        this.#views.set(name, { ...view, unreachable: { ...view.unreachable, since: this.#process.now } });
    }
    this.#leases.reset();
  }

  #campaign(): void {
    const { lock } = this.#cluster;
    const asked = this.#process.now;
    // The process may be paused before it gets the answer of the store.
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

  /** The time until the next lease on an unreachable machine ends, in ms. */
  #untilLeaseEnds(): number {
    const [unit] = this.#cluster.registry.units;
    const unreachable = [...this.#views.values()].filter(({ unreachable }) => unreachable !== undefined);
    if (unit === undefined || unreachable.length === 0) return TURN_MS;
    const { ends } = this.#leases;
    const turns = unreachable.map(({ id }) => heldUntil(unit, id, ends) - this.#process.now);
    return Math.min(...turns.filter((ms) => ms > 0)) + 0.01;
  }

  /** Observes a machine repeatedly, like a MachineWatch. */
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
      const place = this.#cluster.registry.machine(machine.name);
      const view = { machine: place, id: machine.id, observation, unreachable: undefined, backSince };
      this.#views.set(machine.name, view);
      this.#answered.set(machine.name, process.now);
      next(intervalMs);
    };
    process.in(deadlineMs, () => {
      if (isOver) return;
      this.#unreachable(machine, asked);
      next(250);
    });
    process.ask<Observation>(
      machine,
      (reply) => reply(machine.observe()),
      (observation) => {
        const wasSilent = this.#views.get(machine.name)?.observation === undefined;
        const lease = this.#leases.grant({ observation, askedAt: asked, wasUnreachable: wasSilent });
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

  #unreachable({ name, id }: SimMachine, asked: number): MachineView {
    const answered = Math.max(this.#answered.get(name) ?? asked, asked - intervalMs);
    const since = this.#views.get(name)?.unreachable?.since ?? answered;
    const unreachable = { since, code: 'ssh-timeout', message: '', hint: undefined };
    const machine = this.#cluster.registry.machine(name);
    const view = { machine, id, observation: undefined, unreachable, backSince: undefined };
    this.#views.set(name, view);
    return view;
  }

  #decide(): void {
    const { machines, registry } = this.#cluster;
    if (!this.#leases.leads || this.#views.size < machines.length) return;
    const view = {
      clusterId: CLUSTER_ID,
      units: new Map(registry.units.map((unit) => [unit.name, unit])),
    } as unknown as RegistryView;
    this.#leases.want(view);
    this.#leases.admit(this.#leases.waiting([...this.#views.values()], view));
    const { groups } = toDo(this.#pass.snapshot(this.#views));
    if (groups.length === 0 || this.#backoff.isWaiting(UNIT, this.#token, this.#process.now)) return;
    this.#isBusy = true;
    this.#pass.run((went) => this.#finish(went));
  }

  /** A failed pass is tried again later. */
  #finish(went: boolean): void {
    if (went) this.#backoff.succeeded(UNIT);
    else this.#backoff.failed(UNIT, this.#token, this.#process.now);
    // Changed machines are observed again before the next decision.
    this.#pass.look((views) => {
      this.#learn(views);
      this.#isBusy = false;
    });
  }

  get #token(): number {
    const { registry } = this.#cluster;
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
