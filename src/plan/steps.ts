import { fenceViolation, leaseOf } from '../cluster/lease.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import {
  isFinished,
  isMasked,
  isRunning,
  type ObservedUnit,
  type UnitRecord,
} from '../cluster/unit-state.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import type { Situation, UnitOnMachine } from './classify.ts';
import { fenceText, linksOf } from './links-and-drop-in.ts';
import type { Obstacle, Step } from './step.ts';

/**
 * What a command asks of a unit in one pass: `start` that it has come up, which is watched if it was started a moment
 * ago; `run` and `stop` that a unit which is only loaded is started or stopped now; `restart` that it is, if it runs.
 */
export type Asked = 'start' | 'run' | 'stop' | 'restart';

/** Situations in which nothing may be done with the unit. */
const REFUSED: ReadonlySet<Situation> = new Set(['foreign', 'unrecorded', 'stale']);

/** A run that began less than so many ms ago may not have been watched for the whole settle window. */
const YOUNG_MS = 10_000;

/** The steps that bring a unit on `machine` to what is wanted and asked of it, in order. */
export function stepsFor(
  situation: Situation,
  pair: UnitOnMachine,
  asked: Asked | undefined,
  machine: MachineView,
): readonly Step[] {
  const { wanted, observed } = pair;
  const steps = stepsToTarget(situation, pair, machine);
  // Instances of a template have no state here.
  const mayRun =
    observed !== undefined && (isRunning(observed.state) || isTemplate(parseUnitName(observed.name)));
  const isSettled = situation === 'in-place' || situation === 'to-record';
  if (wanted?.target === 'loaded' && !REFUSED.has(situation)) {
    if (asked === 'run') return [...steps, startStep(wanted, machine)];
    const isStopped = steps.some(({ kind }) => kind === 'stop');
    if (asked === 'stop' && mayRun && !isStopped) return [{ kind: 'stop' }, ...steps];
  }
  if (wanted?.target !== 'launched' || !isSettled) return steps;
  if (asked === 'restart') return [...steps, { kind: 'restart', under: leaseFor(wanted, machine) }];
  return asked === 'start' && isYoung(pair, machine) ? [...steps, { kind: 'watch' }] : steps;
}

export function startStep(wanted: DesiredUnit | undefined, machine: MachineView): Step {
  return { kind: 'start', under: leaseFor(wanted, machine) };
}

/** Why nothing may be done with a unit on `machine`; undefined when `steps` may be carried out. */
export function obstacleFor(
  situation: Situation,
  { wanted, token, observed }: UnitOnMachine,
  steps: readonly Step[],
  machine: MachineView,
  snapshot: ClusterSnapshot,
): Obstacle | undefined {
  if (situation === 'foreign') return { code: 'foreign', path: observed?.state.fragment ?? '' };
  if (situation === 'unrecorded') return { code: 'unrecorded', path: observed?.state.fragment ?? '' };
  if (situation === 'stale') return { code: 'stale', token, seen: observed?.record?.token ?? 0 };
  if (situation === 'unknown') return { code: 'unknown', detail: observed?.state.loadError ?? '' };
  return fenceObstacle(wanted, steps, machine, snapshot);
}

/** Whether the unit runs after these steps, or may be started by others, and could not before. */
export function brings(steps: readonly Step[]): boolean {
  const kinds = new Set(steps.map(({ kind }) => kind));
  return kinds.has('start') || (kinds.has('write') && !kinds.has('stop'));
}

/** A fenced unit that runs may be restarted where it is; one that does not may be running elsewhere. */
export function fenceObstacle(
  wanted: DesiredUnit | undefined,
  steps: readonly Step[],
  machine: MachineView,
  snapshot: ClusterSnapshot,
): Obstacle | undefined {
  if (wanted?.placement.fence === undefined) return undefined;
  const isLeft = steps.some(({ kind }) => kind === 'restart') && leaseOf(machine) === undefined;
  const reason = brings(steps) ? fenceViolation(wanted, machine, snapshot) : undefined;
  if (isLeft) return { code: 'fenced', reason: { code: 'no-lease' } };
  return reason === undefined ? undefined : { code: 'fenced', reason };
}

function stepsToTarget(situation: Situation, pair: UnitOnMachine, machine: MachineView): readonly Step[] {
  const { wanted, observed } = pair;
  const stop: Step = { kind: 'stop' };
  const start = startStep(wanted, machine);
  const write: Step = {
    kind: 'write',
    text: wanted?.text ?? '',
    ...alteredBy(observed),
    under: leaseFor(wanted, machine),
  };
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
    case 'to-record':
      return record;
    case 'absent':
    case 'lingering':
    case 'foreign':
    case 'unrecorded':
    case 'stale':
    case 'unknown':
    case 'in-place':
      return [];
  }
}

/** How the file there is not the one that its record tells of. */
function alteredBy(observed: ObservedUnit | undefined): Pick<Extract<Step, { kind: 'write' }>, 'altered'> {
  if (observed?.record === undefined || observed.lost !== undefined) return {};
  const { digest, record, state } = observed;
  if (isMasked(state)) return { altered: 'masked' };
  return digest !== undefined && digest !== record.digest ? { altered: 'changed' } : {};
}

/** Whether the run that is under way may have begun a moment ago; yes for a machine that does not tell the time. */
function isYoung({ observed }: UnitOnMachine, { observation }: MachineView): boolean {
  if (observed === undefined || isFinished(observed.state)) return false;
  const { since } = observed.state;
  if (observation?.clock === undefined || since === undefined) return true;
  const age = observation.clock - since;
  return age < YOUNG_MS;
}

function leaseFor(wanted: DesiredUnit | undefined, machine: MachineView) {
  return wanted?.placement.fence === undefined ? undefined : leaseOf(machine);
}

function fenceOf(unit: DesiredUnit): { readonly fence?: string } {
  const fence = fenceText(unit);
  return fence === undefined ? {} : { fence };
}

function recordOf(unit: DesiredUnit): UnitRecord {
  return { unit: unit.name, token: unit.token, hash: unit.hash, digest: unit.digest, target: unit.target };
}
