import { compareText } from '../base/text.ts';
import { hasFailedOn, isFirstText, keptOn } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  isChangeable,
  type MachineView,
  machineNamed,
  observedOn,
  tokenOf,
  unitNamed,
} from '../cluster/snapshot.ts';
import { isOurs, type ObservedUnit } from '../cluster/unit-state.ts';
import { classify, isRecorded, type UnitOnMachine } from './classify.ts';
import { type RolloutContext, withGates } from './rollout.ts';
import { expectsUp, hasStep, type MachinePlan, type Obstacle, type Step, type UnitChange } from './step.ts';
import { type Action, mayStart, obstacleFor, recordSteps, stepsFor, withRevert } from './steps.ts';
import { tiesBetween, withTies } from './ties.ts';

/** Options of {@link plan}. */
export type PlanOptions = {
  /** The actions that a command requests for units in this pass only, in addition to their target states. */
  readonly actions?: ReadonlyMap<string, Action | undefined> | undefined;
  /** Undefined if the caller orders copies itself. */
  readonly rollouts?: Pick<RolloutContext, 'unseen' | 'limits'> | undefined;
};

/**
 * The changes on every machine that answered, so that each unit of `placements` is exactly on its machines (unit → ids
 * of the machines that shall have it). Any unit that stops because of such a change is started again. Machines without
 * changes are left out.
 */
export function plan(
  snapshot: ClusterSnapshot,
  placements: ReadonlyMap<string, readonly string[]>,
  { actions = new Map(), rollouts }: PlanOptions = {},
): readonly MachinePlan[] {
  const wantedOn = byMachine(placements);
  const ties = tiesBetween(snapshot);
  const machines = snapshot.machines.filter((machine) => isChangeable(machine, snapshot));
  const plans = machines.map((machine) => {
    const wanted = wantedOn.get(machine.id ?? '') ?? new Set();
    // A unit that is not wanted here and that fleet did not write is not changed.
    const ours = (machine.observation?.units ?? []).filter(
      (unit) => isOurs(unit) && placements.has(unit.name),
    );
    const names = [...new Set([...wanted, ...ours.map(({ name }) => name)])].sort(compareText);
    const changes = names.flatMap((name) => {
      const unit = unitNamed(name, snapshot);
      const observed = observedOn(machine, name);
      const pair: UnitOnMachine = {
        wanted: wanted.has(name) ? keptOn(unit, observed, snapshot) : undefined,
        token: tokenOf(name, snapshot),
        observed,
        mayLinger: mayLinger(unit, machine, placements, snapshot),
        hasFailed: wanted.has(name) && hasFailedOn(unit, observed, machine),
      };
      const action = actions.get(name);
      const planned = withHold(change(name, pair, action, machine, snapshot), unit, pair, machine, snapshot);
      // A held unit can be stopped, also one that is on no machine.
      return planned === undefined || (action === 'stop' && planned.obstacle?.code === 'held')
        ? []
        : [planned];
    });
    const isWanted = (unit: DesiredUnit): boolean =>
      placements.has(unit.name) ? wanted.has(unit.name) : isAssigned(unit, machine);
    return {
      machine: machine.machine.name,
      changes: withTies(changes, { machine, snapshot, ties, isWanted }).map((each) =>
        withAdoption(each, observedOn(machine, each.unit)),
      ),
    };
  });
  const all = withForbidden(withoutReports(plans, snapshot, placements), snapshot).filter(
    ({ changes }) => changes.length > 0,
  );
  return rollouts === undefined ? all : withGates(all, { snapshot, placements, ...rollouts });
}

/** The change, or the obstacle of a held unit. Where its text failed, its links are removed first, because systemd starts it by them. */
function withHold(
  change: UnitChange | undefined,
  unit: DesiredUnit | undefined,
  pair: UnitOnMachine,
  machine: MachineView,
  snapshot: ClusterSnapshot,
): UnitChange | undefined {
  const obstacle =
    change?.obstacle === undefined
      ? holdObstacle(unit, pair.wanted, change?.steps ?? [], machine, snapshot)
      : undefined;
  if (unit === undefined || obstacle === undefined) return change;
  const { name, token } = unit;
  return pair.hasFailed && !isRecorded(pair)
    ? { unit: name, token, steps: recordSteps(pair), obstacle: undefined }
    : { unit: name, token, steps: [], obstacle };
}

/**
 * The obstacle to a change of a held unit: `kept` is what the machine shall have. A held text is not written, and not
 * started where it has failed. A copy that stays as it is because of the hold has the obstacle too, so that it is reported.
 */
function holdObstacle(
  unit: DesiredUnit | undefined,
  kept: DesiredUnit | undefined,
  steps: readonly Step[],
  { id }: MachineView,
  snapshot: ClusterSnapshot,
): Obstacle | undefined {
  const held = unit?.held;
  if (unit === undefined || kept === undefined || held === undefined) return undefined;
  const hasFailed = held.machines.some((machine) => machine.id === id);
  const keeps = kept.digest !== unit.digest;
  const isRefused = keeps
    ? !hasStep({ steps }, 'stop', 'write', 'start', 'restart')
    : hasStep({ steps }, 'write') || (hasFailed && expectsUp({ steps }));
  if (!isRefused) return undefined;
  return { code: 'held', hash: unit.hash, held, keeps, isFirst: isFirstText(unit.name, snapshot) };
}

/** Machine id → the units that shall be there. */
function byMachine(
  placements: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const units = new Map<string, Set<string>>();
  for (const [name, machines] of placements) {
    for (const machine of machines) units.set(machine, (units.get(machine) ?? new Set()).add(name));
  }
  return units;
}

/** Whether a unit without a decision in this pass belongs on the machine. */
function isAssigned({ target, machine, placement }: DesiredUnit, { id }: MachineView): boolean {
  return target !== 'inactive' && (placement.global || machine === id);
}

/** The current run of a unit that has moved may finish, unless its machine is drained or the unit is fenced. */
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
  action: Action | undefined,
  machine: MachineView,
  snapshot: ClusterSnapshot,
): UnitChange | undefined {
  const situation = classify(pair);
  const steps = stepsFor(situation, pair, action, machine);
  const obstacle = obstacleFor(situation, pair, steps, machine, snapshot);
  if (obstacle === undefined && steps.length === 0) return undefined;
  return {
    unit,
    token: pair.token,
    steps: obstacle === undefined ? withRevert(pair.wanted, steps) : [],
    obstacle,
  };
}

/** A lost record is restored first: without it, the machine treats the unit as foreign. */
function withAdoption(change: UnitChange, observed: ObservedUnit | undefined): UnitChange {
  if (observed?.lost === undefined || observed.record === undefined) return change;
  if (change.steps.length === 0) return change;
  return { ...change, steps: [{ kind: 'adopt', record: observed.record }, ...change.steps] };
}

/** The report about a reverted change is removed when the unit is neither wanted nor there any more. */
function withoutReports(
  plans: readonly MachinePlan[],
  snapshot: ClusterSnapshot,
  placements: ReadonlyMap<string, readonly string[]>,
): readonly MachinePlan[] {
  return plans.map(({ machine, changes }) => {
    const view = machineNamed(machine, snapshot);
    const isThere = (unit: string): boolean => {
      const observed = view && observedOn(view, unit);
      return observed !== undefined && (isOurs(observed) || observed.state.load !== 'not-found');
    };
    const left = (view?.observation?.confirmations ?? []).filter(
      ({ unit, state }) =>
        state === 'reverted' && placements.get(unit)?.includes(view?.id ?? '') === false && !isThere(unit),
    );
    const forgotten = left.map(({ unit }): UnitChange => {
      return { unit, token: tokenOf(unit, snapshot), steps: [{ kind: 'forbid' }], obstacle: undefined };
    });
    return forgotten.length === 0 ? { machine, changes } : { machine, changes: [...changes, ...forgotten] };
  });
}

/** Before a fenced unit is started on one machine, all other machines are forbidden to start it. */
function withForbidden(plans: readonly MachinePlan[], snapshot: ClusterSnapshot): readonly MachinePlan[] {
  const isFenced = (unit: string): boolean => unitNamed(unit, snapshot)?.placement.fence !== undefined;
  const starting = plans.flatMap(({ machine, changes }) =>
    changes
      .filter(({ unit, steps }) => isFenced(unit) && mayStart(steps))
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
