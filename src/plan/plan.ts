import { compareText } from '../base/text.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type MachineView,
  otherCluster,
} from '../cluster/snapshot.ts';
import { isOurs, type ObservedUnit } from '../cluster/unit-state.ts';
import { classify, type UnitOnMachine } from './classify.ts';
import type { MachinePlan, UnitChange } from './step.ts';
import { type Asked, brings, obstacleFor, stepsFor } from './steps.ts';
import { tiesBetween, withTies } from './ties.ts';

/** How plans are made. */
export type PlanOptions = {
  /** What a command asks of units in this pass alone, beside their target states. */
  readonly asked?: ReadonlyMap<string, Asked | undefined>;
};

/**
 * What has to be done on every machine that answered, so that each unit of `scope` is exactly where
 * `placements` (unit → ids of the machines that shall have it) says; and what has to be started again because it is
 * taken down by that, whether it is one of these units or not. Machines with nothing to do are left out.
 */
export function plan(
  snapshot: ClusterSnapshot,
  placements: ReadonlyMap<string, readonly string[]>,
  { asked = new Map() }: PlanOptions = {},
): readonly MachinePlan[] {
  const desired = new Map(snapshot.units.map((unit) => [unit.name, unit]));
  const wantedOn = byMachine(placements);
  const ties = tiesBetween(snapshot);
  const plans = plannable(snapshot).map((machine) => {
    const observed = new Map(machine.observation?.units.map((unit) => [unit.name, unit]));
    const wanted = wantedOn.get(machine.id ?? '') ?? new Set();
    // What is neither wanted here nor was ever put here is none of our business.
    const ours = [...observed.values()].filter((unit) => isOurs(unit) && placements.has(unit.name));
    const names = [...new Set([...wanted, ...ours.map(({ name }) => name)])].sort(compareText);
    const changes = names.flatMap((name) => {
      const unit = desired.get(name);
      const pair: UnitOnMachine = {
        wanted: wanted.has(name) ? unit : undefined,
        token: unit?.token ?? snapshot.revision,
        observed: observed.get(name),
        mayLinger: mayLinger(unit, machine, placements, snapshot),
      };
      return change(name, pair, asked.get(name), machine, snapshot) ?? [];
    });
    const isWanted = (unit: DesiredUnit): boolean =>
      placements.has(unit.name) ? wanted.has(unit.name) : isAssigned(unit, machine);
    return {
      machine: machine.machine.name,
      changes: withTies(changes, { machine, snapshot, desired, ties, isWanted }).map((each) =>
        withAdoption(each, observed.get(each.unit)),
      ),
    };
  });
  return withForbidden(plans, desired).filter(({ changes }) => changes.length > 0);
}

/** A machine of another cluster is left alone, whatever is there. */
function plannable(snapshot: ClusterSnapshot): readonly MachineView[] {
  return snapshot.machines.filter(
    (machine) => machine.observation !== undefined && otherCluster(machine, snapshot) === undefined,
  );
}

/** Machine id → the units that are to be there. */
function byMachine(
  placements: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const units = new Map<string, Set<string>>();
  for (const [name, machines] of placements) {
    for (const machine of machines) units.set(machine, (units.get(machine) ?? new Set()).add(name));
  }
  return units;
}

/** Whether a unit that nothing was decided about belongs on the machine. */
function isAssigned({ target, machine, placement }: DesiredUnit, { id }: MachineView): boolean {
  return target !== 'inactive' && (placement.global || machine === id);
}

/** A run of a unit that has moved may come to its end, unless its machine is emptied or there may never be two copies. */
function mayLinger(
  unit: DesiredUnit | undefined,
  { machine }: MachineView,
  placements: ReadonlyMap<string, readonly string[]>,
  { drained }: ClusterSnapshot,
): boolean {
  if (unit === undefined || unit.target === 'inactive' || drained === machine.name) return false;
  return unit.placement.fence === undefined && (placements.get(unit.name)?.length ?? 0) > 0;
}

function change(
  unit: string,
  pair: UnitOnMachine,
  asked: Asked | undefined,
  machine: MachineView,
  snapshot: ClusterSnapshot,
): UnitChange | undefined {
  const situation = classify(pair);
  const steps = stepsFor(situation, pair, asked, machine);
  const obstacle = obstacleFor(situation, pair, steps, machine, snapshot);
  if (obstacle === undefined && steps.length === 0) return undefined;
  return { unit, token: pair.token, steps: obstacle === undefined ? steps : [], obstacle };
}

/** The record that is lost comes first: without it, the machine takes the unit for a foreign one. */
function withAdoption(change: UnitChange, observed: ObservedUnit | undefined): UnitChange {
  if (observed?.lost === undefined || observed.record === undefined) return change;
  if (change.steps.length === 0) return change;
  return { ...change, steps: [{ kind: 'adopt', record: observed.record }, ...change.steps] };
}

/** Where a fenced unit is to come or to start, every other machine is forbidden to start it first. */
function withForbidden(
  plans: readonly MachinePlan[],
  desired: ReadonlyMap<string, DesiredUnit>,
): readonly MachinePlan[] {
  const starting = plans.flatMap(({ machine, changes }) =>
    changes
      .filter(({ unit, steps }) => desired.get(unit)?.placement.fence !== undefined && brings(steps))
      .map(({ unit, token }) => ({ unit, token, machine })),
  );
  if (starting.length === 0) return plans;
  return plans.map(({ machine, changes }) => {
    const known = new Set(changes.map(({ unit }) => unit));
    const forbidden = starting
      .filter((start) => start.machine !== machine && !known.has(start.unit))
      .map(
        ({ unit, token }): UnitChange => ({ unit, token, steps: [{ kind: 'forbid' }], obstacle: undefined }),
      );
    return { machine, changes: [...changes, ...forbidden] };
  });
}
