import { provenUnits } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  everyUnit,
  machineNameOf,
  machineWithId,
  readableOf,
} from '../cluster/snapshot.ts';
import { changesIn, type Obstacle } from '../plan/step.ts';
import { plansFor } from '../reconcile/decided-plans.ts';
import { type Decision, machinesOf } from '../schedule/decision.ts';
import { schedule } from '../schedule/schedule.ts';

/** The units of one pass, and the names of the machines that it has to observe. */
export type Group = { readonly units: Set<string>; readonly machines: Set<string> };

/** The work that a snapshot requires. */
export type ToDo = {
  /** Groups are independent, and no two have a unit in common. */
  readonly groups: readonly Group[];
  readonly decisions: readonly Decision[];
};

/** Finds what a pass over everything would do, with the functions that a pass uses. Pure. */
export function toDo(snapshot: ClusterSnapshot): ToDo {
  const { units, machines } = snapshot;
  const scope = readableOf(everyUnit(units, machines), snapshot);
  const decisions = schedule(snapshot, scope);
  const groups = new Groups();
  for (const decision of decisions) {
    const machines = machinesOf(decision).flatMap((id) => machineNameOf(id, snapshot) ?? []);
    // The units of a lost machine move in one pass.
    if (decision.kind === 'move') groups.add(decision.unit, `from ${decision.from}`, machines);
    if (decision.kind === 'place') groups.add(decision.unit, 'place', machines);
    if (isGone(decision, snapshot)) groups.add(decision.unit, 'forget', []);
  }
  for (const { unit, held } of snapshot.newReverts ?? [])
    groups.add(
      unit,
      'revert',
      held.machines.map(({ name }) => name),
    );
  for (const unit of provenUnits(snapshot)) groups.add(unit, 'release', []);
  const { plans, rollouts } = plansFor(decisions, snapshot, scope, { isGated: true });
  // The instances of a template get a new text in one pass, because its pieces follow each other.
  const changed = new Set(changesIn(plans).map(({ change }) => change.unit));
  for (const [index, { units: members }] of rollouts.entries()) {
    for (const unit of members) if (changed.has(unit)) groups.add(unit, `rollout ${index}`, []);
  }
  for (const { machine, change } of changesIn(plans)) {
    const { unit, obstacle } = change;
    if (obstacle === undefined || REPORTED.has(obstacle.code)) groups.add(unit, `on ${machine}`, [machine]);
  }
  observeEverywhere(groups.all, snapshot);
  return { groups: groups.all, decisions };
}

/** Permanent obstacles, which a pass reports like any other failure. */
const REPORTED: ReadonlySet<Obstacle['code']> = new Set(['foreign', 'unrecorded']);

/** A fenced unit needs an observation of every machine. */
function observeEverywhere(groups: readonly Group[], { units, machines }: ClusterSnapshot): void {
  const fenced = new Set(
    units.filter(({ placement }) => placement.fence !== undefined).map(({ name }) => name),
  );
  for (const group of groups) {
    if (![...group.units].some((unit) => fenced.has(unit))) continue;
    for (const { machine } of machines) group.machines.add(machine.name);
  }
}

class Groups {
  readonly #byKey = new Map<string, Group>();
  readonly #byUnit = new Map<string, Group>();

  get all(): readonly Group[] {
    return [...this.#byKey.values()];
  }

  /** Adds a unit to the group of `key`, unless it is in a group already, and machines to the group of the unit. */
  add(unit: string, key: string, machines: readonly string[]): void {
    const group = this.#byUnit.get(unit) ?? this.#byKey.get(key) ?? { units: new Set(), machines: new Set() };
    if (!this.#byUnit.has(unit)) this.#byKey.set(key, group);
    this.#byUnit.set(unit, group);
    group.units.add(unit);
    for (const machine of machines) group.machines.add(machine);
  }
}

/** Whether the unit has to be unassigned: its machine is reachable, or no longer in fleet.conf. */
function isGone(decision: Decision, snapshot: ClusterSnapshot): boolean {
  if (decision.kind !== 'release' || decision.from === undefined) return false;
  return machineWithId(decision.from, snapshot)?.unreachable === undefined;
}
