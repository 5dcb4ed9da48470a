import { isFleetError } from '../base/errors.ts';
import { type Failure, isInTarget, type UnitOutcome } from '../cluster/failure.ts';
import type { Reason } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  isChangeable,
  type MachineView,
  machineNamed,
  machineWithId,
  observedOn,
  otherCluster,
  type Token,
  unitNamed,
} from '../cluster/snapshot.ts';
import { isForeign, originOf } from '../cluster/unit-state.ts';
import { unreachableFailure } from '../cluster/unreachable.ts';
import type { Rollout } from '../plan/rollout.ts';
import {
  changesIn,
  expectsUp,
  type HealthRequest,
  hasStep,
  type MachinePlan,
  onlyChanges,
  type Step,
  type UnitChange,
  type Wave,
} from '../plan/step.ts';
import type { Decision } from '../schedule/decision.ts';
import type { MachineSession } from '../systemd/driver.ts';
import { healthOf, healthQuery } from '../systemd/health.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { type Emit, planned } from './events.ts';
import { isVerified } from './rollouts.ts';
import { withRequired } from './untried.ts';

/**
 * Executes waves, one after the other. A unit that failed is skipped in later waves. A unit that waits for it is skipped
 * too, with a separate outcome. The units of a rollout are skipped in the pieces after one in which a copy was not verified.
 * No wave begins after `signal` aborts.
 */
export async function executeWaves(
  waves: readonly Wave[],
  run: (plans: readonly MachinePlan[], piece: number) => Promise<readonly UnitOutcome[]>,
  rollouts: readonly Rollout[],
  signal: AbortSignal | undefined,
): Promise<readonly UnitOutcome[]> {
  const done: UnitOutcome[] = [];
  const touched = new Set<string>();
  const failed = new Set<string>();
  /** Rollout → the first piece in which a copy was not verified. */
  const ended = new Map<Rollout, number>();
  let isOver = false;
  for (const { plans, piece, isGate, finishes, waitsFor } of waves) {
    if (signal?.aborted) break;
    if (isOver && !finishes) continue;
    const held = (unit: string): string | undefined => waitsFor.get(unit)?.find((other) => failed.has(other));
    const isEnded = (unit: string): boolean =>
      rollouts.some((each) => each.units.has(unit) && (ended.get(each) ?? piece) < piece);
    const isDue = (unit: string): boolean =>
      !failed.has(unit) && !isEnded(unit) && (!finishes || touched.has(unit));
    const outcomes = [
      ...(await run(
        onlyChanges(plans, ({ unit }) => isDue(unit) && held(unit) === undefined),
        piece,
      )),
      ...changesIn(plans).flatMap(({ machine, change: { unit } }): readonly UnitOutcome[] => {
        const other = isDue(unit) ? held(unit) : undefined;
        if (other === undefined) return [];
        return [{ unit, machine, state: undefined, failure: { code: 'waits', unit: other } }];
      }),
    ];
    for (const outcome of outcomes) {
      const { unit, failure } = outcome;
      touched.add(unit);
      if (!isInTarget(failure)) failed.add(unit);
      const rollout = isVerified(outcome) ? undefined : rollouts.find(({ units }) => units.has(unit));
      if (rollout !== undefined && !ended.has(rollout)) ended.set(rollout, piece);
    }
    done.push(...outcomes);
    isOver ||= isGate && failed.size > 0;
  }
  return done;
}

/** Executes plans on all machines in parallel, and waits for all of them. A check that passed has no outcome. */
export async function execute(
  plans: readonly MachinePlan[],
  snapshot: ClusterSnapshot,
  sessions: ReadonlyMap<string, MachineSession>,
  emit: Emit,
): Promise<readonly UnitOutcome[]> {
  const { clusterId } = snapshot;
  const done = await Promise.all(
    plans.map(async (plan) => {
      const session = sessions.get(plan.machine);
      if (session === undefined || clusterId === undefined) return [];
      emit({ kind: 'changes-sent', ...planned(plan) });
      const isCheck = (name: string): boolean =>
        plan.changes.some((change) => change.unit === name && hasStep(change, 'check'));
      const view = machineNamed(plan.machine, snapshot);
      const over = (unit: string): Token => (view && observedOn(view, unit)?.record?.token) ?? 0;
      const changes = plan.changes.map((change) => ({
        ...change,
        steps: change.steps.map((step) => withHealth(step, change.unit, snapshot)),
        over: over(change.unit),
      }));
      const changed = await withRequired(await session.change(changes, clusterId), session, snapshot);
      const all = await checkHealth(changed, plan, session, snapshot);
      const outcomes = all.filter(({ unit, failure }) => failure !== undefined || !isCheck(unit));
      for (const outcome of outcomes) emit({ kind: 'outcome', ...outcome });
      return outcomes;
    }),
  );
  return done.flat();
}

/** A change is confirmed after its unit is known to be healthy. */
function withHealth(step: Step, name: string, snapshot: ClusterSnapshot): Step {
  if (step.kind !== 'arm') return step;
  const unit = unitNamed(name, snapshot);
  return unit?.digest !== step.digest ? step : { ...step, health: healthOf(unit) };
}

/** The outcomes, with the failures of units that were started and are not healthy. One unit follows the other. */
async function checkHealth(
  outcomes: readonly UnitOutcome[],
  { changes }: MachinePlan,
  session: MachineSession,
  snapshot: ClusterSnapshot,
): Promise<readonly UnitOutcome[]> {
  const checked: UnitOutcome[] = [];
  for (const outcome of outcomes) {
    const change = changes.find(({ unit }) => unit === outcome.unit);
    const request = change === undefined ? undefined : healthRequest(outcome, change, snapshot);
    const failure = request === undefined ? undefined : await askHealth(request, session);
    checked.push(failure === undefined ? outcome : { ...outcome, failure });
  }
  return checked;
}

/** Undefined for a unit that was not started, whose start was not awaited, or that keeps an older text. */
function healthRequest(
  { unit: name, failure, triggered, state }: UnitOutcome,
  change: UnitChange,
  snapshot: ClusterSnapshot,
): HealthRequest | undefined {
  const unit = unitNamed(name, snapshot);
  // A dry run has no states.
  if (unit === undefined || failure !== undefined || triggered !== undefined || state === undefined)
    return undefined;
  const isOther = change.steps.some((step) => step.kind === 'record' && step.record.digest !== unit.digest);
  return expectsUp(change) && !isOther && !hasStep(change, 'arm') ? healthOf(unit) : undefined;
}

async function askHealth(request: HealthRequest, session: MachineSession): Promise<Failure | undefined> {
  try {
    return await session.ask(healthQuery(request));
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return unreachableFailure(error);
  }
}

/** The outcomes of decisions whose machine did not answer, belongs to another cluster, or has a foreign unit. */
export function unreached(
  decisions: readonly Decision[],
  snapshot: ClusterSnapshot,
  emit: Emit,
): readonly UnitOutcome[] {
  const outcomes = decisions.flatMap((decision) => outOfReach(decision, snapshot));
  for (const outcome of outcomes) emit({ kind: 'outcome', ...outcome });
  return outcomes;
}

/** Whether a machine that the decision needs cannot be changed. */
export function isOutOfReach(decision: Decision, snapshot: ClusterSnapshot): boolean {
  return outOfReach(decision, snapshot).length > 0;
}

/** The outcomes of one decision on machines that are unreachable, belong to another cluster, or have a foreign unit. */
function outOfReach(decision: Decision, snapshot: ClusterSnapshot): readonly UnitOutcome[] {
  return snapshot.machines.flatMap((machine): readonly UnitOutcome[] => {
    const failure = isNeeded(decision, machine, snapshot)
      ? obstacleOn(machine, decision.unit, snapshot)
      : undefined;
    if (failure === undefined) return [];
    return [{ unit: decision.unit, machine: machine.machine.name, state: undefined, failure }];
  });
}

function obstacleOn(machine: MachineView, unit: string, snapshot: ClusterSnapshot): Failure | undefined {
  const { unreachable } = machine;
  if (unreachable !== undefined) return unreachableFailure(unreachable);
  const cluster = otherCluster(machine, snapshot);
  if (cluster !== undefined) return { code: 'other-cluster', cluster };
  const there = observedOn(machine, unit);
  if (there === undefined || !isForeign(there)) return undefined;
  return { code: 'foreign', path: originOf(there) };
}

/** Whether the decision requires a change on that machine. */
function isNeeded(decision: Decision, view: MachineView, snapshot: ClusterSnapshot): boolean {
  const { machine, id } = view;
  const isPlanned = isChangeable(machineWithId(id, snapshot) ?? view, snapshot);
  switch (decision.kind) {
    case 'place':
    case 'keep':
    case 'move':
      // A machine that answered has its outcome from the plan.
      return decision.machine === id && !isPlanned;
    case 'global':
      return decision.rejected.some(
        (rejection) => rejection.machine === machine.name && IN_THE_WAY.has(rejection.reason.code),
      );
    case 'release':
      // A global unit may be on any unreachable machine; a standard one only on the machine of its assignment.
      if (!isGlobal(decision.unit, snapshot) && (id === undefined || decision.from !== id)) return false;
      return !isPlanned;
    case 'unschedulable':
      return false;
  }
}

/** Reasons that prevent a change of a global unit on a machine that should have it. */
const IN_THE_WAY: ReadonlySet<Reason['code']> = new Set(['machine-silent', 'other-cluster', 'foreign-unit']);

/** A template counts as not global, because it has no copies. */
function isGlobal(name: string, snapshot: ClusterSnapshot): boolean {
  const unit = unitNamed(name, snapshot);
  return unit?.placement.global === true && !isTemplate(parseUnitName(name));
}
