import type { UnitOutcome } from '../cluster/failure.ts';
import { type ClusterSnapshot, type DesiredUnit, everyUnit, type MachineView } from '../cluster/snapshot.ts';
import { orderOf } from '../plan/order.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Decision, leavingOf } from '../schedule/decision.ts';
import { schedule } from '../schedule/schedule.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { plansFor } from './decided-plans.ts';
import { decided, planned } from './events.ts';
import { execute, executeWaves, isOutOfReach, unreached } from './execute.ts';
import { logDecisions, logOutcomes } from './log.ts';
import { machineEdits, withObservations } from './observe.ts';
import { aheadOf, refuseOutdated } from './outdated.ts';
import type { PassOptions, ReconcileReport } from './pass.ts';
import type { Ports } from './ports.ts';
import { isVerified, reportedOutcomes, stillWanted, unfinished } from './rollouts.ts';
import { settle } from './settle.ts';
import { snapshotOf } from './snapshot.ts';
import { trustedViews, withoutAhead } from './trust.ts';
import { tendVoters } from './voters.ts';

/**
 * The pass: load, observe, schedule, assign, plan, execute. Brings the units in `only`, and their partners, to their target
 * states on every machine that answers. A unit that the registry does not have is removed. A controller runs the pass if
 * `ports` have one that can.
 */
export async function reconcile(
  ports: Ports,
  only: ReadonlySet<string> | 'everything',
  options: PassOptions = {},
): Promise<ReconcileReport> {
  const report = only === 'everything' ? undefined : await ports.controller?.(only, options);
  return report ?? withHolds(ports, await runPass(ports, only, options), options.signal);
}

/** A report, and the units that were held because of it, or whose hold has ended. */
type Held = { readonly report: ReconcileReport; readonly held: ReadonlySet<string> };

/**
 * Carries out the holds of a pass at once: restored texts come to their machines, where the copies that failed are down, so
 * that they come first; and no machine starts a text at boot that has failed there.
 */
async function withHolds(
  ports: Ports,
  { report, held }: Held,
  signal: AbortSignal | undefined,
): Promise<ReconcileReport> {
  if (held.size === 0) return report;
  const names = new Set(report.restored?.map(({ unit }) => unit));
  const { outcomes } = (await runPass(ports, held, { signal })).report;
  const failed = outcomes.filter(({ unit, failure }) => names.has(unit) && failure !== undefined);
  // A unit that was down because of a failed one is up again with it.
  const isUpAgain = ({ unit, machine }: UnitOutcome): boolean =>
    !held.has(unit) &&
    outcomes.some((each) => each.unit === unit && each.machine === machine && isVerified(each));
  const before = report.outcomes.map((each) =>
    each.failure !== undefined && isUpAgain(each) ? { ...each, failure: undefined } : each,
  );
  const isBack = (unit: string): boolean => !signal?.aborted && failed.every((each) => each.unit !== unit);
  const restored = report.restored?.map((each) => ({ ...each, isBack: isBack(each.unit) }));
  return { ...report, outcomes: [...before, ...failed], restored };
}

async function runPass(
  ports: Ports,
  only: ReadonlySet<string> | 'everything',
  { actions = new Map(), maxParallel, limits, drain, known: given, signal }: PassOptions,
): Promise<Held> {
  const { emit, clock } = ports;
  const begun = clock.now();
  emit({ kind: 'pass-begun', scope: only });
  const registry = given ?? (await ports.registry.load());
  const named = only === 'everything' ? new Set(registry.units.keys()) : withPartners(only, registry.units);
  const names = [...named].filter((name) => !isTemplate(parseUnitName(name)));
  const request = { names, digests: true };
  return withObservations(ports, registry, request, async ({ views, sessions }) => {
    const scope = only === 'everything' ? everyUnit(registry.units.values(), views) : named;
    const { snapshot, decisions, known } = await assign(ports, views, scope, drain);
    const tending = tendVoters(ports, snapshot, known);
    const isGated = maxParallel === undefined;
    const { plans, placements, rollouts } = plansFor(decisions, snapshot, scope, {
      actions,
      limits,
      isGated,
    });
    const leaving = leavingOf(decisions);
    const order = orderOf({ plans, snapshot, placements, leaving, maxParallel, rollouts });
    emit({ kind: 'planned', waves: order.map((wave) => wave.plans.map(planned)) });
    let wave = 0;
    const carryOut = async (all: readonly MachinePlan[], piece: number): ReturnType<typeof execute> => {
      const now =
        piece === 0 || all.length === 0 ? all : stillWanted(all, snapshot, await ports.registry.load());
      if (now.length > 0) emit({ kind: 'wave-begun', wave: ++wave, waves: order.length });
      return execute(now, snapshot, sessions, emit);
    };
    const waved = executeWaves(order, carryOut, rollouts, signal);
    const [changed, newVoters] = await Promise.all([waved, tending]);
    const left = signal?.aborted ? [] : unfinished(order, changed, rollouts, snapshot);
    for (const outcome of left) emit({ kind: 'outcome', ...outcome });
    const done = [...changed, ...left];
    // Unreachable partners, which the command did not name, are not reported.
    const meant =
      only === 'everything' ? decisions : decisions.filter(isMeant(only, registry.units, snapshot));
    const outcomes = [...done, ...unreached(meant, snapshot, emit)];
    const waves = order.filter(({ isCheck }) => !isCheck).map((each) => each.plans);
    const pass = { snapshot, decisions: meant, plans: waves.flat(), outcomes };
    const reported = reportedOutcomes(pass);
    const logged = logOutcomes(reported, known, (unit) => actions.get(unit) === 'restart');
    const { held, restored, holds, settled } = await settle(ports.registry, pass, known, logged, {
      rollouts,
      limits,
    });
    const failures = outcomes.filter(({ failure }) => failure !== undefined).length;
    emit({ kind: 'pass-done', failures, ms: clock.now() - begun });
    const report = { ...pass, waves, newVoters, outcomes: reported.map((each) => withNewHold(each, holds)) };
    if (held.size === 0) return { report: { ...report, settled }, held };
    const back = restored.map(({ name: unit, hash }) => ({ unit, hash, isBack: false }));
    return { report: { ...report, ...(back.length > 0 && { restored: back }) }, held };
  });
}

function withNewHold(
  outcome: UnitOutcome,
  holds: ReadonlyMap<string, { readonly isFirst: boolean }>,
): UnitOutcome {
  const newHold = holds.get(outcome.unit);
  const isCause = outcome.failure !== undefined && outcome.failure.code !== 'held';
  return newHold !== undefined && isCause ? { ...outcome, newHold } : outcome;
}

/** The units, and those that are decided together with them: their triggers, the units that they trigger or replace. */
function withPartners(
  only: ReadonlySet<string>,
  units: ReadonlyMap<string, DesiredUnit>,
): ReadonlySet<string> {
  const started = [...only].flatMap((name) => units.get(name)?.triggers ?? []);
  const all = new Set([...only, ...started, ...replacedBy(only, units)]);
  const triggers = [...units.values()].filter(
    ({ triggers, target }) => triggers !== undefined && target !== 'inactive' && all.has(triggers),
  );
  return new Set(
    [...all, ...triggers.map(({ name }) => name)].filter((name) => only.has(name) || units.has(name)),
  );
}

/** The units that loaded or launched ones in `only` replace (`Replaces=`). */
function replacedBy(only: ReadonlySet<string>, units: ReadonlyMap<string, DesiredUnit>): readonly string[] {
  return [...only].flatMap((name) => {
    const unit = units.get(name);
    return unit === undefined || unit.target === 'inactive' ? [] : unit.placement.replaces;
  });
}

/** False for decisions about partners that cannot be changed, unless a unit in `only` replaces them. */
function isMeant(
  only: ReadonlySet<string>,
  units: ReadonlyMap<string, DesiredUnit>,
  snapshot: ClusterSnapshot,
): (decision: Decision) => boolean {
  const named = new Set([...only, ...replacedBy(only, units)]);
  return (decision) => named.has(decision.unit) || !isOutOfReach(decision, snapshot);
}

/** Decides the placement of units and stores it. After a lost race it decides again, on the new state of the registry. */
async function assign(
  ports: Ports,
  views: readonly MachineView[],
  scope: ReadonlySet<string>,
  drained: string | undefined,
): Promise<{
  readonly snapshot: ClusterSnapshot;
  readonly decisions: readonly Decision[];
  readonly known: RegistryView;
}> {
  let decisions: readonly Decision[] = [];
  let trusted = views;
  const registry = await ports.registry.update((view) => {
    refuseOutdated(view, views);
    const now = ports.clock.now();
    trusted = withoutAhead(trustedViews(views, view, now), aheadOf(view, views), now);
    const before = snapshotOf(ports, view, trusted, drained);
    decisions = schedule(before, scope);
    // An empty registry stays empty: it may be a lost one that will be recovered.
    if (view.clusterId === undefined) return [];
    return [
      ...assignments(decisions, view),
      ...logDecisions(decisions, before),
      ...machineEdits(views, view, ports),
    ];
  });
  const snapshot = snapshotOf(ports, registry, trusted, drained);
  for (const decision of decisions) {
    const event = decided(decision, snapshot);
    if (event !== undefined) ports.emit(event);
  }
  return { snapshot, decisions, known: registry };
}

function assignments(decisions: readonly Decision[], view: RegistryView): readonly Edit[] {
  return decisions.flatMap((decision): readonly Edit[] => {
    const unit = view.units.get(decision.unit);
    if (unit === undefined) return [];
    if (decision.kind === 'unschedulable' && decision.from !== undefined)
      return [{ kind: 'put-unit', unit: { ...unit, machine: undefined } }];
    if (decision.kind !== 'place' && decision.kind !== 'move') return [];
    return [{ kind: 'put-unit', unit: { ...unit, machine: decision.machine } }];
  });
}
