import type { UnitOutcome } from '../../../src/cluster/failure.ts';
import type { ClusterSnapshot, LeaseEnds, MachineView, Observation } from '../../../src/cluster/snapshot.ts';
import { orderOf } from '../../../src/plan/order.ts';
import { plan } from '../../../src/plan/plan.ts';
import type { MachinePlan } from '../../../src/plan/step.ts';
import { unreached } from '../../../src/reconcile/execute.ts';
import { type Decision, leavingOf, placementsOf } from '../../../src/schedule/decision.ts';
import { schedule } from '../../../src/schedule/schedule.ts';
import { CLUSTER_ID } from '../../support/builders.ts';
import { TTL_MS } from './house.ts';
import { type SimMachine, STOP_MS } from './machine.ts';
import type { SimProcess } from './process.ts';

const SCOPE: ReadonlySet<string> = new Set(['a.service']);

/** What was seen of each machine, by its name. */
export type Views = ReadonlyMap<string, MachineView>;

/** Whose pass it is. */
export type Observer = {
  readonly process: SimProcess;
  /** Until when leases hold on silent machines; undefined for who cannot know. */
  readonly leases: () => LeaseEnds | undefined;
  /** What is known of a machine that is not asked, because it is silent. */
  readonly known: (machine: SimMachine) => MachineView | undefined;
  /** What is made of a machine that has not answered what was asked at `asked`. */
  readonly silent: (machine: SimMachine, asked: number) => MachineView;
};

/** Runs the functions of `reconcile` in a process that may pause between any two steps. */
export class SimPass {
  readonly #observer: Observer;

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** One pass over the unit; `done` gets whether it succeeded. */
  run(done: (went: boolean) => void): void {
    this.look((views) => this.#assign(views, done));
  }

  /** Asks every machine that is not known to be silent. */
  look(done: (views: Views) => void): void {
    const { process, known, silent } = this.#observer;
    const { machines, registry } = process.house;
    const seen = new Map<string, MachineView>();
    const settle = (machine: SimMachine, view: MachineView): void => {
      seen.set(machine.name, view);
      if (seen.size === machines.length) done(seen);
    };
    for (const machine of machines) {
      const view = known(machine);
      if (view !== undefined) {
        settle(machine, view);
        continue;
      }
      const asked = process.now;
      process.askWithin<Observation>(
        TTL_MS / 3,
        machine,
        (reply) => reply(machine.observe()),
        (observation) => {
          if (observation === undefined) return settle(machine, silent(machine, asked));
          const place = registry.machine(machine.name);
          const answer = { unreachable: undefined, backSince: undefined };
          settle(machine, { machine: place, id: machine.id, observation, ...answer });
        },
      );
    }
  }

  /** What was seen, beside what the registry and fleet.conf say at this moment. */
  snapshot(views: Views): ClusterSnapshot {
    const { process, leases } = this.#observer;
    const { registry } = process.house;
    return {
      now: process.now,
      agentTtlMs: TTL_MS,
      cutOff: 0.5,
      clusterId: CLUSTER_ID,
      revision: registry.revision,
      units: registry.units,
      machines: [...views.values()].map((view) => ({
        ...view,
        machine: registry.machine(view.machine.name),
      })),
      cordons: new Map(),
      drained: undefined,
      leases: leases(),
    };
  }

  /** Decides from the current registry, and stores that, unless another process was faster. */
  #assign(views: Views, done: (went: boolean) => void): void {
    const { process } = this.#observer;
    const { registry, network } = process.house;
    const snapshot = this.snapshot(views);
    const decisions = schedule(snapshot, SCOPE);
    const [decision] = decisions;
    process.in(network.lag(), () => {
      if (registry.revision !== snapshot.revision) return this.#assign(views, done);
      if (decision?.kind === 'place' || decision?.kind === 'move')
        registry.put({ machine: decision.machine });
      const after = this.snapshot(views);
      process.in(network.lag(), () => this.#carryOut(after, decisions, done));
    });
  }

  #carryOut(snapshot: ClusterSnapshot, decisions: readonly Decision[], done: (went: boolean) => void): void {
    const placements = placementsOf(decisions, SCOPE);
    const plans = plan(snapshot, placements);
    const leaving = leavingOf(decisions);
    const waves = orderOf({ plans, snapshot, placements, leaving, maxParallel: undefined });
    const isReached = unreached(decisions, snapshot, () => undefined).length === 0;
    // There is one unit: where it fails in a wave, nothing is left to do in those that follow.
    const next = (index: number): void => {
      const wave = waves[index];
      if (wave !== undefined) {
        this.#send(wave.plans, (went) => (went ? next(index + 1) : done(false)));
        return;
      }
      if (isReached) this.#forget(snapshot, decisions);
      done(isReached);
    };
    next(0);
  }

  /** Clears the assignment of a stopped unit that is not wanted, unless there is a newer decision about it. */
  #forget({ units: [decided] }: ClusterSnapshot, [decision]: readonly Decision[]): void {
    const { registry } = this.#observer.process.house;
    const [unit] = registry.units;
    if (decision?.kind !== 'release' || unit?.machine === undefined || unit.token !== decided?.token) return;
    registry.put({ machine: undefined });
  }

  #send(plans: readonly MachinePlan[], done: (went: boolean) => void): void {
    const { process } = this.#observer;
    const { machines, world } = process.house;
    let left = plans.length;
    let went = true;
    const settle = (isWell: boolean): void => {
      went &&= isWell;
      if (--left === 0) done(went);
    };
    if (left === 0) {
      done(true);
      return;
    }
    for (const { machine: name, changes } of plans) {
      const machine = machines.find((each) => each.name === name);
      const [change] = changes;
      if (machine === undefined || change === undefined) throw new Error(`no change on ${name}`);
      if (change.obstacle !== undefined) {
        settle(false);
        continue;
      }
      // A connection that breaks takes along the answer, and not what was sent.
      process.askWithin<{ readonly failure: UnitOutcome['failure'] }>(
        !world.isCalm && world.chance(0.4) ? world.upTo(400) : STOP_MS + TTL_MS / 3,
        machine,
        (reply) => machine.change(change, (failure) => reply({ failure })),
        (answer) => settle(answer !== undefined && answer.failure === undefined),
      );
    }
  }
}
