import { compareText } from '../base/compare.ts';
import { fenceObjection, type Lease, leaseOf } from '../cluster/lease.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type MachineView,
  otherCluster,
} from '../cluster/snapshot.ts';
import type { UnitRecord } from '../cluster/unit-state.ts';
import { classify, type Pair, type Situation } from './classify.ts';
import { fenceText } from './fence.ts';
import { linksOf } from './links.ts';
import type { MachinePlan, Obstacle, Step, UnitChange } from './step.ts';

/**
 * What has to be done on every machine that answered, so that each unit of `scope` is exactly where
 * `placements` (unit → ids of the machines that shall have it) says. Machines with nothing to do are left out.
 * With `restart`, launched units that are in place are restarted.
 */
export function plan(
  snapshot: ClusterSnapshot,
  placements: ReadonlyMap<string, readonly string[]>,
  { restart }: PlanOptions = { restart: false },
): readonly MachinePlan[] {
  const desired = new Map(snapshot.units.map((unit) => [unit.name, unit]));
  const wantedOn = byMachine(placements);
  const plans = plannable(snapshot).map((machine) => {
    const observed = new Map(machine.observation?.units.map((unit) => [unit.name, unit]));
    const wanted = wantedOn.get(machine.id ?? '') ?? new Set();
    // What is neither wanted here nor was ever put here is none of our business.
    const ours = [...observed.values()].filter(
      ({ name, record }) => record !== undefined && placements.has(name),
    );
    const names = [...new Set([...wanted, ...ours.map(({ name }) => name)])].sort(compareText);
    return {
      machine: machine.machine.name,
      changes: names.flatMap((name) => {
        const unit = desired.get(name);
        const token = unit?.token ?? snapshot.revision;
        const pair = { wanted: wanted.has(name) ? unit : undefined, token, observed: observed.get(name) };
        return change(name, pair, { restart, machine, snapshot }) ?? [];
      }),
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

/** Where a fenced unit is to come or to start, every other machine is told first that it may not. */
function withForbidden(
  plans: readonly MachinePlan[],
  desired: ReadonlyMap<string, DesiredUnit>,
): readonly MachinePlan[] {
  const starting = plans.flatMap(({ machine, changes }) =>
    changes
      .filter(({ unit, steps }) => isFenced(desired.get(unit)) && brings(steps))
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

function isFenced(unit: DesiredUnit | undefined): boolean {
  return unit?.placement.fence !== undefined;
}

/** How plans are made. */
export type PlanOptions = { readonly restart: boolean };

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

type Place = {
  readonly restart: boolean;
  readonly machine: MachineView;
  readonly snapshot: ClusterSnapshot;
};

function change(unit: string, pair: Pair, place: Place): UnitChange | undefined {
  const situation = classify(pair);
  const under = isFenced(pair.wanted) ? leaseOf(place.machine) : undefined;
  const steps = [
    ...stepsFor(situation, pair, under),
    ...(place.restart ? restartFor(situation, pair, under) : []),
  ];
  const obstacle = obstacleOf(situation, pair) ?? fenceObstacle(pair, steps, place);
  return obstacle === undefined && steps.length === 0
    ? undefined
    : { unit, token: pair.token, steps: obstacle === undefined ? steps : [], obstacle };
}

/** What has to be started anyway needs no restart. */
function restartFor(situation: Situation, { wanted }: Pair, under: Lease | undefined): readonly Step[] {
  const runsAsWanted = situation === 'in-place' || situation === 'to-note';
  return runsAsWanted && wanted?.target === 'launched' ? [{ kind: 'restart', under }] : [];
}

function obstacleOf(situation: Situation, { token, observed }: Pair): Obstacle | undefined {
  if (situation === 'foreign') return { code: 'foreign', path: observed?.state.fragment ?? '' };
  if (situation === 'stale') return { code: 'stale', token, seen: observed?.record?.token ?? 0 };
  return undefined;
}

/** Whether the unit runs after these steps, or may be started by others, and could not before. */
function brings(steps: readonly Step[]): boolean {
  const kinds = new Set(steps.map(({ kind }) => kind));
  return kinds.has('start') || (kinds.has('write') && !kinds.has('stop'));
}

/** A fenced unit that runs may be restarted where it is; one that does not may be running elsewhere. */
function fenceObstacle(
  { wanted }: Pair,
  steps: readonly Step[],
  { machine, snapshot }: Place,
): Obstacle | undefined {
  if (wanted?.placement.fence === undefined) return undefined;
  const isLeft = steps.some(({ kind }) => kind === 'restart') && leaseOf(machine) === undefined;
  const reason = brings(steps) ? fenceObjection(wanted, machine, snapshot) : undefined;
  if (isLeft) return { code: 'fenced', reason: { code: 'no-lease' } };
  return reason === undefined ? undefined : { code: 'fenced', reason };
}

function stepsFor(
  situation: Situation,
  { wanted, observed }: Pair,
  under: Lease | undefined,
): readonly Step[] {
  const stop: Step = { kind: 'stop' };
  const start: Step = { kind: 'start', reset: observed?.state.active === 'failed', under };
  const write: Step = { kind: 'write', text: wanted?.text ?? '', under };
  const record: readonly Step[] =
    wanted === undefined
      ? []
      : [{ kind: 'record', record: recordOf(wanted), links: linksOf(wanted), ...fenceOf(wanted) }];
  switch (situation) {
    case 'surplus':
      // Stopped even when it looks stopped: a timer or a restart may start it between the look and the removal.
      return [stop, { kind: 'remove' }];
    case 'to-load':
      return [write, ...record];
    case 'to-launch':
      return [write, ...record, start];
    case 'to-restart':
      return [stop, write, ...record, start];
    case 'to-rewrite':
      return [stop, write, ...record];
    case 'to-stop':
      return [stop, ...record];
    case 'to-start':
      return [...record, start];
    case 'to-note':
      return record;
    case 'absent':
    case 'foreign':
    case 'stale':
    case 'in-place':
      return [];
  }
}

function fenceOf(unit: DesiredUnit): { readonly fence?: string } {
  const fence = fenceText(unit);
  return fence === undefined ? {} : { fence };
}

function recordOf(unit: DesiredUnit): UnitRecord {
  return { unit: unit.name, token: unit.token, hash: unit.hash, digest: unit.digest, target: unit.target };
}
