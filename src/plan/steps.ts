import { confirmationOn, timeLeft } from '../cluster/confirmation.ts';
import { fenceViolation, leaseOf } from '../cluster/lease.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import {
  isFinished,
  isMasked,
  isRunning,
  type ObservedUnit,
  originOf,
  type UnitRecord,
} from '../cluster/unit-state.ts';
import { isTemplateName } from '../unit/unit-name.ts';
import type { Situation, UnitOnMachine } from './classify.ts';
import { fenceText, linksOf } from './links-and-drop-in.ts';
import type { Obstacle, Step } from './step.ts';

/**
 * An action that a command requests for a unit in one pass. `start` verifies that a launched unit is up, and watches it
 * if it was started a moment ago. `run` and `stop` start and stop a unit that is only loaded. `restart` restarts a
 * launched unit.
 */
export type Action = 'start' | 'run' | 'stop' | 'restart';

/** Situations in which the unit must not be changed. */
const REFUSED: ReadonlySet<Situation> = new Set(['foreign', 'unrecorded', 'stale']);

/** A run shorter than this, in ms, may not have been watched for the whole settle window. */
const YOUNG_MS = 10_000;

/** The steps that bring a unit on `machine` to its wanted state, and carry out the requested action, in order. */
export function stepsFor(
  situation: Situation,
  pair: UnitOnMachine,
  action: Action | undefined,
  machine: MachineView,
): readonly Step[] {
  const { wanted, observed } = pair;
  const steps = stepsToTarget(situation, pair, machine);
  // Instances of a template have no state here.
  const mayRun = observed !== undefined && (isRunning(observed.state) || isTemplateName(observed.name));
  const isSettled = situation === 'in-place' || situation === 'to-record';
  if (wanted?.target === 'loaded' && !REFUSED.has(situation)) {
    if (action === 'run') return [...steps, startStep(wanted, machine)];
    const isStopped = steps.some(({ kind }) => kind === 'stop');
    if (action === 'stop' && mayRun && !isStopped) return [{ kind: 'stop' }, ...steps];
  }
  if (wanted?.target !== 'launched' || !isSettled) return steps;
  if (action === 'restart') return [...steps, { kind: 'restart', under: leaseNeeded(wanted, machine) }];
  return action === 'start' && isYoung(pair, machine) ? [...steps, { kind: 'watch' }] : steps;
}

export function startStep(wanted: DesiredUnit | undefined, machine: MachineView): Step {
  return { kind: 'start', under: leaseNeeded(wanted, machine) };
}

/** The same steps; with `Confirm=`, a revert is armed before a start. */
export function withRevert(wanted: DesiredUnit | undefined, steps: readonly Step[]): readonly Step[] {
  const windowMs = wanted?.placement.confirmMs;
  if (wanted === undefined || windowMs === undefined || !steps.some(({ kind }) => kind === 'start'))
    return steps;
  return [{ kind: 'arm', windowMs, hash: wanted.hash, digest: wanted.digest }, ...steps];
}

/** The obstacle to a change of a unit on `machine`; undefined if `steps` may be executed. */
export function obstacleFor(
  situation: Situation,
  { wanted, token, observed }: UnitOnMachine,
  steps: readonly Step[],
  machine: MachineView,
  snapshot: ClusterSnapshot,
): Obstacle | undefined {
  if (situation === 'foreign' || situation === 'unrecorded')
    return { code: situation, path: observed === undefined ? '' : originOf(observed) };
  if (situation === 'stale') return { code: 'stale', token, seen: observed?.record?.token ?? 0 };
  if (situation === 'unknown') return { code: 'unknown', detail: observed?.state.loadError ?? '' };
  const confirmation = confirmationOn(machine, wanted?.name ?? observed?.name ?? '');
  if (confirmation?.state === 'armed') {
    const leftMs = timeLeft(confirmation, machine);
    // A unit that runs is not as wanted if the machine is about to revert it.
    if (steps.length > 0 || leftMs === 0) return { code: 'awaits-confirmation', leftMs };
  }
  return fenceObstacle(wanted, steps, machine, snapshot);
}

/** Whether these steps start the unit, or write it so that others may start it. */
export function mayStart(steps: readonly Step[]): boolean {
  const kinds = new Set(steps.map(({ kind }) => kind));
  return kinds.has('start') || (kinds.has('write') && !kinds.has('stop'));
}

/** The obstacle to a start of a fenced unit. A running unit may be restarted: only a stopped one may run elsewhere. */
export function fenceObstacle(
  wanted: DesiredUnit | undefined,
  steps: readonly Step[],
  machine: MachineView,
  snapshot: ClusterSnapshot,
): Obstacle | undefined {
  if (wanted?.placement.fence === undefined) return undefined;
  const isLeft = steps.some(({ kind }) => kind === 'restart') && leaseOf(machine) === undefined;
  const reason = mayStart(steps) ? fenceViolation(wanted, machine, snapshot) : undefined;
  if (isLeft) return { code: 'fenced', reason: { code: 'no-lease' } };
  return reason === undefined ? undefined : { code: 'fenced', reason };
}

function stepsToTarget(situation: Situation, pair: UnitOnMachine, machine: MachineView): readonly Step[] {
  const stop: Step = { kind: 'stop' };
  const start = (): Step => startStep(pair.wanted, machine);
  const write = (): Step => writeStep(pair, machine);
  const record = (): readonly Step[] => recordSteps(pair);
  switch (situation) {
    case 'surplus':
      // An inactive unit is stopped too: a timer or a restart may start it between the observation and the removal.
      return [stop, { kind: 'remove' }];
    case 'to-load':
      return [write(), ...record()];
    case 'to-launch':
      return [write(), ...record(), start()];
    case 'to-restart':
      return [stop, write(), ...record(), start()];
    case 'to-rewrite':
      return [stop, write(), ...record()];
    case 'to-stop':
      return [stop, ...record()];
    case 'to-start':
      return [...record(), start()];
    case 'to-record':
      return record();
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

function writeStep({ wanted, observed }: UnitOnMachine, machine: MachineView): Step {
  const under = leaseNeeded(wanted, machine);
  return { kind: 'write', text: wanted?.text ?? '', ...alteredBy(observed), under };
}

export function recordSteps({ wanted, hasFailed }: UnitOnMachine): readonly Step[] {
  if (wanted === undefined) return [];
  const links = linksOf(wanted, hasFailed);
  return [{ kind: 'record', record: recordOf(wanted), links, ...fenceOf(wanted) }];
}

/** How the file on the machine differs from its record. */
function alteredBy(observed: ObservedUnit | undefined): Pick<Extract<Step, { kind: 'write' }>, 'altered'> {
  if (observed?.record === undefined || observed.lost !== undefined) return {};
  const { digest, record, state } = observed;
  if (isMasked(state)) return { altered: 'masked' };
  return digest !== undefined && digest !== record.digest ? { altered: 'changed' } : {};
}

/** Whether the current run may have begun a moment ago; true if the machine did not report its clock. */
function isYoung({ observed }: UnitOnMachine, { observation }: MachineView): boolean {
  if (observed === undefined || isFinished(observed.state)) return false;
  const { since } = observed.state;
  if (observation?.clock === undefined || since === undefined) return true;
  const age = observation.clock - since;
  return age < YOUNG_MS;
}

function leaseNeeded(wanted: DesiredUnit | undefined, machine: MachineView) {
  return wanted?.placement.fence === undefined ? undefined : leaseOf(machine);
}

function fenceOf(unit: DesiredUnit): { readonly fence?: string } {
  const fence = fenceText(unit);
  return fence === undefined ? {} : { fence };
}

function recordOf(unit: DesiredUnit): UnitRecord {
  return { unit: unit.name, token: unit.token, hash: unit.hash, digest: unit.digest, target: unit.target };
}
