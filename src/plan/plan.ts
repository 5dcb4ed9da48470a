import { compareText } from '../base/compare.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type MachineView,
  observedOn,
  otherCluster,
} from '../cluster/snapshot.ts';
import type { UnitRecord } from '../cluster/unit-state.ts';
import { classify, type Pair, type Situation } from './classify.ts';
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
  const names = [...placements.keys()].sort(compareText);
  const plans = snapshot.machines
    // A machine of another cluster is left alone, whatever is there.
    .filter((machine) => machine.observation !== undefined && otherCluster(machine, snapshot) === undefined)
    .map((machine) => ({
      machine: machine.machine.name,
      changes: names.flatMap((name) => {
        const here = placements.get(name)?.includes(machine.id ?? '') ?? false;
        const unit = desired.get(name);
        const pair = pairOf(name, machine, here ? unit : undefined, unit?.token ?? snapshot.revision);
        return change(name, pair, restart) ?? [];
      }),
    }));
  return plans.filter(({ changes }) => changes.length > 0);
}

/** How plans are made. */
export type PlanOptions = { readonly restart: boolean };

function pairOf(unit: string, machine: MachineView, wanted: DesiredUnit | undefined, token: number): Pair {
  return { wanted, token, observed: observedOn(machine, unit) };
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
  const record: readonly Step[] = wanted === undefined ? [] : [{ kind: 'record', record: recordOf(wanted) }];
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
