import { compareText } from '../base/compare.ts';
import { type ClusterSnapshot, type DesiredUnit, otherCluster } from '../cluster/snapshot.ts';
import type { UnitRecord } from '../cluster/unit-state.ts';
import { classify, type Pair, type Situation } from './classify.ts';
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
  const plans = snapshot.machines
    // A machine of another cluster is left alone, whatever is there.
    .filter((machine) => machine.observation !== undefined && otherCluster(machine, snapshot) === undefined)
    .map((machine) => {
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
          return change(name, pair, restart) ?? [];
        }),
      };
    });
  return plans.filter(({ changes }) => changes.length > 0);
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

function change(unit: string, pair: Pair, restart: boolean): UnitChange | undefined {
  const situation = classify(pair);
  const obstacle = obstacleOf(situation, pair);
  const steps = [...stepsFor(situation, pair), ...(restart ? restartFor(situation, pair) : [])];
  return obstacle === undefined && steps.length === 0
    ? undefined
    : { unit, token: pair.token, steps, obstacle };
}

/** What has to be started anyway needs no restart. */
function restartFor(situation: Situation, { wanted }: Pair): readonly Step[] {
  const runsAsWanted = situation === 'in-place' || situation === 'to-note';
  return runsAsWanted && wanted?.target === 'launched' ? [{ kind: 'restart' }] : [];
}

function obstacleOf(situation: Situation, { token, observed }: Pair): Obstacle | undefined {
  if (situation === 'foreign') return { code: 'foreign', path: observed?.state.fragment ?? '' };
  if (situation === 'stale') return { code: 'stale', token, seen: observed?.record?.token ?? 0 };
  return undefined;
}

function stepsFor(situation: Situation, { wanted, observed }: Pair): readonly Step[] {
  const stop: Step = { kind: 'stop' };
  const start: Step = { kind: 'start', reset: observed?.state.active === 'failed' };
  const write: Step = { kind: 'write', text: wanted?.text ?? '' };
  const record: readonly Step[] =
    wanted === undefined ? [] : [{ kind: 'record', record: recordOf(wanted), links: linksOf(wanted) }];
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

function recordOf(unit: DesiredUnit): UnitRecord {
  return { unit: unit.name, token: unit.token, hash: unit.hash, digest: unit.digest, target: unit.target };
}
