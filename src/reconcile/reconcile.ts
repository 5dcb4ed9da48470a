import type { Clock } from '../base/time.ts';
import { withLostRecords } from '../cluster/lost-record.ts';
import {
  type ClusterSnapshot,
  type DependentUnit,
  type DesiredUnit,
  everyUnit,
  type LeaseEnds,
  type MachineView,
  readableOf,
} from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { orderOf } from '../plan/order.ts';
import { plan } from '../plan/plan.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { Asked } from '../plan/steps.ts';
import type { Edit } from '../registry/edit.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Decision, leavingOf, placementsOf } from '../schedule/decision.ts';
import { schedule } from '../schedule/schedule.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { decided, type Emit, planned } from './events.ts';
import { execute, executeWaves, isOutOfReach, unreached } from './execute.ts';
import { logDecisions, logOutcomes } from './log.ts';
import { machineEdits, observe } from './observe.ts';
import { aheadOf, refuseOutdated } from './outdated.ts';
import { failedMoves, takeBack } from './returns.ts';
import type { Observer } from './silence.ts';
import { trustedViews, withoutAhead } from './trust.ts';
import { withUnlisted } from './unlisted.ts';
import { unreadableUnits } from './unreadable.ts';
import { type Pass, verdicts } from './verdicts.ts';

/** What a pass works with. */
export type Ports = {
  readonly registry: Registry;
  readonly driver: SystemdDriver;
  readonly clock: Clock;
  /** Whose looks at machines these are. */
  readonly observer: Observer;
  readonly machines: readonly Machine[];
  /** How long a machine may be unreachable before its units move, in ms. */
  readonly agentTtlMs: number;
  /** The share of the machines, from 0 to 1, above which silence moves nothing. */
  readonly cutOff: number;
  /** Who follows what a pass does, while it does it. */
  readonly emit: Emit;
  /** Until when leases hold on unreachable machines; undefined, or without an answer, for who cannot know. */
  readonly leases?: () => LeaseEnds | undefined;
};

/** What a pass does beside putting things right. */
export type PassOptions = {
  /** What a command asks of units in this pass alone; see {@link Asked}. */
  readonly asked?: ReadonlyMap<string, Asked | undefined>;
  /** How many copies may be under way at once; the pass ends with the first failure then. All without it. */
  readonly maxParallel?: number;
  /** Name of a machine that its standard units leave. */
  readonly drain?: string;
};

/** Everything a pass saw, decided and did. */
export type ReconcileReport = Pass & {
  /** The plans in the order in which they were to be carried out; none follows one with a failure. */
  readonly waves: readonly (readonly MachinePlan[])[];
};

/**
 * The one pass: load, observe, schedule, assign, plan, execute. Brings the units named by `only` to what the
 * registry wants of them and of their partners, on every machine that answers; a name the registry does not have is
 * wanted nowhere.
 */
export async function reconcile(
  ports: Ports,
  only: ReadonlySet<string> | 'everything',
  { asked = new Map(), maxParallel, drain }: PassOptions = {},
): Promise<ReconcileReport> {
  const { emit, clock } = ports;
  const begun = clock.now();
  emit({ kind: 'pass-begun', scope: only });
  const registry = await ports.registry.load();
  const named = only === 'everything' ? new Set(registry.units.keys()) : withPartners(only, registry.units);
  const names = [...named].filter((name) => !isTemplate(parseUnitName(name)));
  const request = { names, digests: true };
  const { views, sessions } = await observe(ports, registry, request);
  try {
    const scope = only === 'everything' ? everyUnit(registry.units.values(), views) : named;
    const { snapshot, decisions, known } = await assign(ports, views, scope, drain);
    const placements = placementsOf(decisions, readableOf(scope, snapshot));
    const plans = plan(snapshot, placements, { asked });
    const leaving = leavingOf(decisions);
    const order = orderOf({ plans, snapshot, placements, leaving, maxParallel });
    emit({ kind: 'planned', waves: order.map((wave) => wave.plans.map(planned)) });
    let wave = 0;
    const done = await executeWaves(order, (now) => {
      if (now.length > 0) emit({ kind: 'wave-begun', wave: ++wave, waves: order.length });
      return execute(now, snapshot, sessions, emit);
    });
    // Nothing was asked of a trigger, or of what a unit triggers, that is out of reach.
    const told =
      only === 'everything' ? decisions : decisions.filter(isMeant(only, registry.units, snapshot));
    const outcomes = [...done, ...unreached(told, snapshot, emit)];
    const waves = order.filter(({ isCheck }) => !isCheck).map((each) => each.plans);
    const pass = { snapshot, decisions: told, plans: waves.flat(), outcomes };
    const logged = logOutcomes(outcomes, known, (unit) => asked.get(unit) === 'restart');
    await settle(ports.registry, pass, known, logged);
    const failures = outcomes.filter(({ failure }) => failure !== undefined).length;
    emit({ kind: 'pass-done', failures, ms: clock.now() - begun });
    return { ...pass, waves };
  } finally {
    for (const session of sessions.values()) session.close();
  }
}

/** The units and those that are decided together with them: what triggers them, what they trigger, what they replace. */
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

/** The units whose places wanted ones among `only` take (`Replaces=`). */
function replacedBy(only: ReadonlySet<string>, units: ReadonlyMap<string, DesiredUnit>): readonly string[] {
  return [...only].flatMap((name) => {
    const unit = units.get(name);
    return unit === undefined || unit.target === 'inactive' ? [] : unit.placement.replaces;
  });
}

/** Leaves out decisions about partners that are out of reach, unless a unit among `only` takes their place. */
function isMeant(
  only: ReadonlySet<string>,
  units: ReadonlyMap<string, DesiredUnit>,
  snapshot: ClusterSnapshot,
): (decision: Decision) => boolean {
  const asked = new Set([...only, ...replacedBy(only, units)]);
  return (decision) => asked.has(decision.unit) || !isOutOfReach(decision, snapshot);
}

/** Puts a registry view and a sighting together. */
export function snapshotOf(
  ports: Pick<Ports, 'clock' | 'agentTtlMs' | 'cutOff' | 'leases'> & Partial<Pick<Ports, 'machines'>>,
  registry: RegistryView,
  machines: readonly MachineView[],
  drained?: string,
): ClusterSnapshot {
  const now = ports.clock.now();
  return {
    now,
    agentTtlMs: ports.agentTtlMs,
    cutOff: ports.cutOff,
    clusterId: registry.clusterId,
    revision: registry.token,
    units: [...registry.units.values()],
    olderTexts: olderTexts(registry, machines),
    unreadable: unreadableUnits(registry, machines),
    machines: withUnlisted(machines, registry, now, ports.machines).map((view) =>
      withLostRecords(view, registry.units),
    ),
    cordons: new Map(
      [...registry.machines].flatMap(([name, { cordon }]) => (cordon ? [[name, cordon]] : [])),
    ),
    drained,
    leases: ports.leases?.(),
  };
}

/** What texts say that machines have of units which have another one by now, as far as the registry can read them. */
function olderTexts(registry: RegistryView, machines: readonly MachineView[]): readonly DependentUnit[] {
  const older = new Map<string, DependentUnit>();
  for (const { name, record } of machines.flatMap(({ observation }) => observation?.units ?? [])) {
    if (record === undefined || record.digest === registry.units.get(name)?.digest) continue;
    const key = `${name} ${record.digest}`;
    if (!older.has(key)) older.set(key, { name, dependencies: registry.dependencies(name, record.digest) });
  }
  return [...older.values()];
}

/** Decides where units go and stores it; a race that was lost leads to a new decision, on the state that the other process left. */
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
    // A registry that holds nothing yet stays so: it may be one that was lost, and waits to be recovered.
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

/**
 * Stores what came of a pass: units that are gone lose their assignment, moves that failed are taken back, and what is
 * new about texts is remembered, with what is `logged`. `known` is what the pass decided on.
 */
async function settle(
  registry: Registry,
  pass: Pass,
  known: RegistryView,
  logged: readonly Edit[],
): Promise<void> {
  const { snapshot, decisions, plans, outcomes } = pass;
  const failed = new Set(outcomes.filter(({ failure }) => failure !== undefined).map(({ unit }) => unit));
  const gone = decisions.filter(({ kind, unit }) => kind === 'release' && !failed.has(unit));
  const returning = failedMoves(plans, decisions, snapshot, outcomes);
  if (gone.length + returning.length + verdicts(pass, known).length + logged.length === 0) return;
  await registry.update((view) => [
    ...logged,
    ...forget(gone, snapshot, view),
    ...takeBack(returning, snapshot, view),
    ...verdicts(pass, view),
  ]);
}

/**
 * A unit that is wanted nowhere loses its assignment when it is known to be gone, and not before. One that was
 * changed since the decision may have been started again.
 */
function forget(gone: readonly Decision[], snapshot: ClusterSnapshot, view: RegistryView): readonly Edit[] {
  const decided = new Map(snapshot.units.map(({ name, token }) => [name, token]));
  return gone.flatMap(({ unit: name }): readonly Edit[] => {
    const unit = view.units.get(name);
    if (unit?.machine === undefined || unit.token !== decided.get(name)) return [];
    return [{ kind: 'put-unit', unit: { ...unit, machine: undefined } }];
  });
}
