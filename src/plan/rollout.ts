import type { Copy, DownCopy } from '../cluster/failure.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type MachineView,
  observedOn,
  otherCluster,
} from '../cluster/snapshot.ts';
import { isUnknown, isUp } from '../cluster/unit-state.ts';
import { type CopyLimit, copiesWithin, type FailurePolicy } from '../unit/copy-limit.ts';
import { differOnlyInFolderOptions } from '../unit/folder-options.ts';
import { isTemplate, parseUnitName, templateOf } from '../unit/unit-name.ts';
import { hasStep, type MachinePlan, type UnitChange } from './step.ts';

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
  const started = new Set(plans.flatMap(({ changes }) => changes.filter(isStart).map(({ unit }) => unit)));
  if (started.size === 0) return [];
  const { units } = context.snapshot;
  const keys = new Set(units.flatMap((unit) => (started.has(unit.name) ? (groupOf(unit) ?? []) : [])));
  const groups = new Map<string, DesiredUnit[]>();
  for (const unit of units) {
    const key = groupOf(unit);
    if (key !== undefined && keys.has(key)) groups.set(key, [...(groups.get(key) ?? []), unit]);
  }
  const startedOn = new Set(
    plans.flatMap(({ machine, changes }) => changes.filter(isStart).map(({ unit }) => `${machine} ${unit}`)),
  );
  return [...groups.values()].flatMap((group) => rolloutOf(group, startedOn, context) ?? []);
}

/** The instances of a template with the same text are one group. */
function groupOf(unit: DesiredUnit): string | undefined {
  const name = parseUnitName(unit.name);
  if (unit.target !== 'launched' || isTemplate(name)) return undefined;
  const template = unit.fromTemplate === false ? undefined : templateOf(name);
  return template === undefined ? unit.name : `${template.text} ${unit.digest}`;
}

/**
 * Finds, for a unit, itself and the launched instances that get their text together with it. Nothing is searched before the first
 * instance, because most snapshots ask for none.
 */
export function groupsIn(units: Iterable<DesiredUnit>): (unit: DesiredUnit) => readonly DesiredUnit[] {
  let byTemplate: ReadonlyMap<string, readonly DesiredUnit[]> | undefined;
  const groups = new Map<string, readonly DesiredUnit[]>();
  return (unit) => {
    const key = groupOf(unit);
    if (key === undefined || key === unit.name) return [unit];
    const known = groups.get(key);
    if (known !== undefined) return known;
    byTemplate ??= instancesIn(units);
    const instances = byTemplate.get(templateOf(parseUnitName(unit.name))?.text ?? '') ?? [];
    const group = instances.filter(
      (other) => groupOf(other) === key || differOnlyInFolderOptions(unit.text, other.text),
    );
    groups.set(key, group);
    return group;
  };
}

/** The instances of each template that have its text. */
function instancesIn(units: Iterable<DesiredUnit>): ReadonlyMap<string, readonly DesiredUnit[]> {
  const byTemplate = new Map<string, DesiredUnit[]>();
  for (const unit of units) {
    const template = templateOf(parseUnitName(unit.name))?.text;
    if (template === undefined || unit.fromTemplate === false) continue;
    const instances = byTemplate.get(template) ?? [];
    byTemplate.set(template, instances);
    instances.push(unit);
  }
  return byTemplate;
}

function rolloutOf(
  units: readonly DesiredUnit[],
  startedOn: ReadonlySet<string>,
  context: RolloutContext,
): Rollout | undefined {
  const copies = units.flatMap((unit) => copiesOf(unit, startedOn, context));
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
  startedOn: ReadonlySet<string>,
  { snapshot, placements, unseen }: RolloutContext,
): readonly CopyState[] {
  const { name, placement } = unit;
  const ids = placements.get(name) ?? (unit.machine === undefined ? [] : [unit.machine]);
  const isMeant = (view: MachineView): boolean => {
    if (view.id !== undefined && ids.includes(view.id)) return true;
    return (
      observedOn(view, name)?.record?.target === 'launched' && otherCluster(view, snapshot) === undefined
    );
  };
  const states = snapshot.machines.filter(isMeant).map((view) => stateOn(view, unit, startedOn));
  if (placement.global) {
    const silent = (unseen?.get(name) ?? []).filter((machine) =>
      states.every(({ copy }) => copy.machine !== machine),
    );
    return [...states, ...silent.map((machine) => lostCopy(unit, machine))];
  }
  const [first] = states;
  // A new instance that fits on no machine is no copy yet.
  if (first === undefined) return ids.length === 0 ? [] : [lostCopy(unit, '')];
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
    copy: { unit: unit.name, machine, isSilent: view.observation === undefined },
    key: copyKey(unit, machine),
    isUp:
      record !== undefined && observed !== undefined && !isUnknown(observed.state) && isUp(observed.state),
    isOld: record !== undefined && record.digest !== unit.digest,
    isStarted: startedOn.has(`${machine} ${unit.name}`),
  };
}

function lostCopy(unit: DesiredUnit, machine: string): CopyState {
  const copy = { unit: unit.name, machine, isSilent: machine !== '' };
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
  const units = new Map(context.snapshot.units.map((unit) => [unit.name, unit]));
  const isGated = ({ limit, down, up }: Rollout, change: UnitChange, machine: string): boolean => {
    const unit = units.get(change.unit);
    if (unit === undefined || !hasStep(change, 'stop') || !isStart(change)) return false;
    return down.length >= limit && up.has(copyKey(unit, machine));
  };
  const going = new Set(
    plans.flatMap(({ machine, changes }) =>
      changes.filter(isStart).flatMap((change) => {
        const rollout = rollouts.find((each) => each.units.has(change.unit));
        return rollout === undefined || isGated(rollout, change, machine) ? [] : [rollout];
      }),
    ),
  );
  const gated = plans.map(
    ({ machine, changes }): MachinePlan => ({
      machine,
      changes: changes.map((change) => {
        const rollout = rollouts.find((each) => each.units.has(change.unit));
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
  return watched.reduce<readonly MachinePlan[]>(
    (all, copy) => withWatch(all, copy, units.get(copy.unit)?.token ?? 0),
    gated,
  );
}

function withWatch(plans: readonly MachinePlan[], copy: Copy, token: number): readonly MachinePlan[] {
  const plan = plans.find(({ machine }) => machine === copy.machine) ?? {
    machine: copy.machine,
    changes: [],
  };
  const present = plan.changes.find(({ unit }) => unit === copy.unit);
  if (present?.obstacle !== undefined || hasStep(present ?? { steps: [] }, 'watch', 'restart')) return plans;
  const change: UnitChange = {
    ...(present ?? { unit: copy.unit, token, obstacle: undefined }),
    steps: [...(present?.steps ?? []), { kind: 'watch' }],
  };
  const changes = [...plan.changes.filter((each) => each !== present), change];
  return [...plans.filter((each) => each !== plan), { machine: plan.machine, changes }];
}
