import { groupBy } from '../base/group-by.ts';
import type { Copy, DownCopy } from '../cluster/failure.ts';
import { groupOf } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  copiesOfUnits,
  type DesiredUnit,
  type MachineView,
  observedOn,
  tokenOf,
  unitNamed,
} from '../cluster/snapshot.ts';
import { isUnknown, isUp } from '../cluster/unit-state.ts';
import { type CopyLimit, copiesWithin, type FailurePolicy } from '../unit/copy-limit.ts';
import { changesIn, hasStep, type MachinePlan, type UnitChange } from './step.ts';

/** The values that a command gives for one pass, in place of those of the units. */
export type RolloutLimits = {
  readonly maxParallel?: CopyLimit | undefined;
  readonly onFailure?: FailurePolicy | undefined;
};

/**
 * A new text on its way to the copies of a unit, or to the instances of a template. It is known from the texts on the
 * machines alone, so any process can continue it.
 */
export type Rollout = {
  readonly units: ReadonlySet<string>;
  /** How many copies may be down, or not verified, at once. */
  readonly limit: number;
  readonly onFailure: FailurePolicy;
  /** The copies that are up, by {@link copyKey}. */
  readonly up: ReadonlySet<string>;
  /** The copies among them that have the new text already. */
  readonly updated: readonly Copy[];
  /** The copies that are not known to be up, and that the plans do not start. */
  readonly down: readonly DownCopy[];
};

export type RolloutContext = {
  readonly snapshot: ClusterSnapshot;
  /** Unit → ids of the machines that shall have it. */
  readonly placements: ReadonlyMap<string, readonly string[]>;
  /** Global unit → the machines that should have it and do not answer. */
  readonly unseen?: ReadonlyMap<string, readonly string[]> | undefined;
  readonly limits?: RolloutLimits | undefined;
};

/** A standard unit is one copy, wherever it is. */
export function copyKey(
  { name, placement }: Pick<DesiredUnit, 'name' | 'placement'>,
  machine: string,
): string {
  return placement.global ? `${machine} ${name}` : name;
}

/**
 * The rollouts that the plans belong to: of units that get a start, and of which a launched copy has an older text. The first
 * start of a unit replaces no text, so that it is none.
 */
export function rolloutsOf(plans: readonly MachinePlan[], context: RolloutContext): readonly Rollout[] {
  const starts = changesIn(plans).filter(({ change }) => isStart(change));
  const started = new Set(starts.map(({ change }) => change.unit));
  if (started.size === 0) return [];
  const groups = [...groupBy(context.snapshot.units, groupOf)].flatMap(([key, group]) =>
    key !== undefined && group.some(({ name }) => started.has(name)) ? [group] : [],
  );
  const startedOn = new Set(starts.map(({ machine, change }) => `${machine} ${change.unit}`));
  const machinesOf = machinesFor(new Set(groups.flat().map(({ name }) => name)), context);
  const statesOf = (unit: DesiredUnit): readonly CopyState[] =>
    copiesOf(unit, machinesOf(unit), startedOn, context);
  return groups.flatMap((group) => rolloutOf(group, statesOf, context) ?? []);
}

/**
 * Finds, for one of the units `names`, the machines that have a copy or shall have one, in the order of the snapshot: those of its
 * placement, and those that have launched it.
 */
function machinesFor(
  names: ReadonlySet<string>,
  { snapshot, placements }: RolloutContext,
): (unit: DesiredUnit) => readonly MachineView[] {
  const { machines } = snapshot;
  const indexes = new Map(machines.map((view, index) => [view, index]));
  const byId = groupBy(machines, ({ id }) => id);
  const copies = copiesOfUnits(snapshot, names);
  return (unit) => {
    const launched = (copies.get(unit.name) ?? []).filter(
      ({ observed: { record } }) => record?.target === 'launched',
    );
    const meant = idsOf(unit, placements).flatMap((id) => byId.get(id) ?? []);
    const found = new Set([...meant, ...launched.map(({ view }) => view)]);
    return [...found].sort((a, b) => (indexes.get(a) ?? 0) - (indexes.get(b) ?? 0));
  };
}

function idsOf({ name, machine }: DesiredUnit, placements: RolloutContext['placements']): readonly string[] {
  return placements.get(name) ?? (machine === undefined ? [] : [machine]);
}

function rolloutOf(
  units: readonly DesiredUnit[],
  statesOf: (unit: DesiredUnit) => readonly CopyState[],
  context: RolloutContext,
): Rollout | undefined {
  const copies = units.flatMap(statesOf);
  const [unit] = units;
  // A held text goes nowhere: copies with an older one keep that.
  if (unit === undefined || unit.held !== undefined || !copies.some(({ isOld }) => isOld)) return undefined;
  const { maxParallel = unit.placement.maxParallel ?? { count: 1 }, onFailure } = context.limits ?? {};
  return {
    units: new Set(units.map(({ name }) => name)),
    limit: copiesWithin(maxParallel, copies.length),
    onFailure: onFailure ?? unit.placement.onFailedUpdate ?? 'stop',
    up: new Set(copies.filter(({ isUp }) => isUp).map(({ key }) => key)),
    updated: copies.filter((copy) => copy.isUp && !copy.isOld && !copy.isStarted).map(({ copy }) => copy),
    down: copies.filter((copy) => !copy.isUp && !copy.isStarted).map(({ copy }) => copy),
  };
}

type CopyState = {
  readonly copy: DownCopy;
  readonly key: string;
  readonly isUp: boolean;
  /** It was launched with another text. */
  readonly isOld: boolean;
  readonly isStarted: boolean;
};

function copiesOf(
  unit: DesiredUnit,
  machines: readonly MachineView[],
  startedOn: ReadonlySet<string>,
  { placements, unseen }: RolloutContext,
): readonly CopyState[] {
  const { name, placement } = unit;
  const states = machines.map((view) => stateOn(view, unit, startedOn));
  if (placement.global) {
    const known = new Set(states.map(({ copy }) => copy.machine));
    const unreachable = (unseen?.get(name) ?? []).filter((machine) => !known.has(machine));
    return [...states, ...unreachable.map((machine) => missingCopy(unit, machine))];
  }
  const [first] = states;
  // A new instance that fits on no machine is no copy yet.
  if (first === undefined) return idsOf(unit, placements).length === 0 ? [] : [missingCopy(unit, '')];
  const some = (is: (state: CopyState) => boolean): boolean => states.some(is);
  return [
    {
      ...first,
      isUp: some(({ isUp }) => isUp),
      isOld: some(({ isOld }) => isOld),
      isStarted: some(({ isStarted }) => isStarted),
    },
  ];
}

function stateOn(view: MachineView, unit: DesiredUnit, startedOn: ReadonlySet<string>): CopyState {
  const machine = view.machine.name;
  const observed = observedOn(view, unit.name);
  const record = observed?.record?.target === 'launched' ? observed.record : undefined;
  return {
    copy: {
      unit: unit.name,
      machine,
      isUnreachable: view.observation === undefined,
      ...(observed !== undefined &&
        (observed.lost !== undefined || isUnknown(observed.state)) && { isUnknown: true }),
    },
    key: copyKey(unit, machine),
    isUp:
      record !== undefined && observed !== undefined && !isUnknown(observed.state) && isUp(observed.state),
    isOld: record !== undefined && record.digest !== unit.digest,
    isStarted: startedOn.has(`${machine} ${unit.name}`),
  };
}

function missingCopy(unit: DesiredUnit, machine: string): CopyState {
  const copy = { unit: unit.name, machine, isUnreachable: machine !== '' };
  return { copy, key: copyKey(unit, machine), isUp: false, isOld: false, isStarted: false };
}

function isStart(change: UnitChange): boolean {
  return change.obstacle === undefined && hasStep(change, 'start');
}

/**
 * The plans with the gates of rollouts. A copy that is up keeps its old text while as many others as may be down are down; if
 * this leaves no copy to update, so does one that the unit has no more. A copy that already has the new text is watched
 * before others get it, because the process that updated it may have ended before it was verified.
 */
export function withGates(plans: readonly MachinePlan[], context: RolloutContext): readonly MachinePlan[] {
  const rollouts = rolloutsOf(plans, context);
  if (rollouts.length === 0) return plans;
  const rolloutOf = new Map(rollouts.flatMap((each) => [...each.units].map((unit) => [unit, each] as const)));
  const isGated = ({ limit, down, up }: Rollout, change: UnitChange, machine: string): boolean => {
    const unit = unitNamed(change.unit, context.snapshot);
    if (unit === undefined || !hasStep(change, 'stop') || !isStart(change)) return false;
    return down.length >= limit && up.has(copyKey(unit, machine));
  };
  const going = new Set(
    changesIn(plans).flatMap(({ machine, change }) => {
      const rollout = isStart(change) ? rolloutOf.get(change.unit) : undefined;
      return rollout === undefined || isGated(rollout, change, machine) ? [] : [rollout];
    }),
  );
  const gated = plans.map(
    ({ machine, changes }): MachinePlan => ({
      machine,
      changes: changes.map((change) => {
        const rollout = rolloutOf.get(change.unit);
        if (rollout === undefined) return change;
        const isSurplus = change.obstacle === undefined && hasStep(change, 'remove');
        if (!isGated(rollout, change, machine) && !(isSurplus && !going.has(rollout))) return change;
        const { limit, down } = rollout;
        return { ...change, steps: [], obstacle: { code: 'gated', limit, down } };
      }),
    }),
  );
  const watched = rollouts
    .flatMap(({ updated }) => updated)
    .filter(({ unit }) => context.placements.has(unit));
  return withWatches(gated, watched, context.snapshot);
}

function withWatches(
  plans: readonly MachinePlan[],
  watched: readonly Copy[],
  snapshot: ClusterSnapshot,
): readonly MachinePlan[] {
  if (watched.length === 0) return plans;
  const byMachine = new Map(
    plans.map(({ machine, changes }) => [machine, new Map(changes.map((change) => [change.unit, change]))]),
  );
  for (const { unit, machine } of watched) {
    const changes = byMachine.get(machine) ?? new Map<string, UnitChange>();
    const token = tokenOf(unit, snapshot);
    const present = changes.get(unit) ?? { unit, token, steps: [], obstacle: undefined };
    if (present.obstacle !== undefined || hasStep(present, 'watch', 'restart')) continue;
    byMachine.delete(machine);
    byMachine.set(machine, changes);
    changes.delete(unit);
    changes.set(unit, { ...present, steps: [...present.steps, { kind: 'watch' }] });
  }
  return [...byMachine].map(([machine, changes]) => ({ machine, changes: [...changes.values()] }));
}
