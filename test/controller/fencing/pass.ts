import type { UnitOutcome } from '../../../src/cluster/failure.ts';
import type { ClusterSnapshot, LeaseEnds, MachineView, Observation } from '../../../src/cluster/snapshot.ts';
import { orderOf } from '../../../src/plan/order.ts';
import { plan } from '../../../src/plan/plan.ts';
import type { MachinePlan } from '../../../src/plan/step.ts';
import { unreached } from '../../../src/reconcile/execute.ts';
import { type Decision, leavingOf, placementsOf } from '../../../src/schedule/decision.ts';
import { schedule } from '../../../src/schedule/schedule.ts';
import { CLUSTER_ID } from '../../support/builders.ts';
import { TTL_MS } from './cluster.ts';
import { type SimMachine, STOP_MS } from './machine.ts';
import type { SimProcess } from './process.ts';

const SCOPE: ReadonlySet<string> = new Set(['a.service']);

/** The view of each machine, by name. */
export type Views = ReadonlyMap<string, MachineView>;

/** The process that makes the pass. */
export type Observer = {
  readonly process: SimProcess;
  /** Until when leases hold on unreachable machines; undefined for a process that does not know. */
  readonly leases: () => LeaseEnds | undefined;
  /** The view of a machine that is known to be unreachable. */
  readonly known: (machine: SimMachine) => MachineView | undefined;
  /** The view of a machine that did not answer a query that was sent at `asked`. */
  readonly unreachable: (machine: SimMachine, asked: number) => MachineView;
};

/** A pass like `reconcile`, with the same functions, in a process that may be paused between any two steps. */
export class SimPass {
  readonly #observer: Observer;

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** Makes one pass over the unit; `done` is called with whether it succeeded. */
  run(done: (went: boolean) => void): void {
    this.look((views) => this.#assign(views, done));
  }

  /** Observes every machine that is not known to be unreachable. */
  look(done: (views: Views) => void): void {
    const { process, known, unreachable } = this.#observer;
    const { machines, registry } = process.cluster;
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
          if (observation === undefined) return settle(machine, unreachable(machine, asked));
          const place = registry.machine(machine.name);
          const answer = { unreachable: undefined, backSince: undefined };
          settle(machine, { machine: place, id: machine.id, observation, ...answer });
        },
      );
    }
  }

  /** The views, with the present registry and fleet.conf. */
  snapshot(views: Views): ClusterSnapshot {
    const { process, leases } = this.#observer;
    const { registry } = process.cluster;
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

  /** Decides by the present registry and stores the decision, unless another process was faster. */
  #assign(views: Views, done: (went: boolean) => void): void {
    const { process } = this.#observer;
    const { registry, network } = process.cluster;
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
    // There is only one unit: after a failure, later waves have nothing to do.
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

  /** A unit that is not wanted and gone loses its assignment, unless there is a newer decision. */
  #forget({ units: [decided] }: ClusterSnapshot, [decision]: readonly Decision[]): void {
    const { registry } = this.#observer.process.cluster;
    const [unit] = registry.units;
    if (decision?.kind !== 'release' || unit?.machine === undefined || unit.token !== decided?.token) return;
    registry.put({ machine: undefined });
  }

  #send(plans: readonly MachinePlan[], done: (went: boolean) => void): void {
    const { process } = this.#observer;
    const { machines, world } = process.cluster;
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
      // A lost connection loses the answer, but not the request.
      process.askWithin<{ readonly failure: UnitOutcome['failure'] }>(
        !world.isCalm && world.chance(0.4) ? world.upTo(400) : STOP_MS + TTL_MS / 3,
        machine,
        (reply) => machine.change(change, (failure) => reply({ failure })),
        (answer) => settle(answer !== undefined && answer.failure === undefined),
      );
    }
  }
}
