import type { Clock } from '../base/clock.ts';
import type { UnitOutcome } from '../cluster/failure.ts';
import type { ClusterSnapshot, MachineView } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { plan } from '../plan/plan.ts';
import type { MachinePlan } from '../plan/step.ts';
import { wavesOf } from '../plan/waves.ts';
import type { Edit, Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Decision, placementsOf } from '../schedule/decision.ts';
import { schedule } from '../schedule/schedule.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { decided, planned, type Tell } from './events.ts';
import { execute } from './execute.ts';
import { memories, observe } from './observe.ts';
import { refuseOutdated } from './outdated.ts';

/** What a pass works with. */
export type Edges = {
  readonly registry: Registry;
  readonly driver: SystemdDriver;
  readonly clock: Clock;
  readonly machines: readonly Machine[];
  /** How long a machine may be silent before its units move, in ms. */
  readonly agentTtlMs: number;
  /** Who follows what a pass does, while it does it. */
  readonly tell: Tell;
};

/** How many copies a pass that restarts units may take down at once; it ends with the first failure. */
export type RollingRestart = { readonly maxParallel: number };

/** Everything a pass saw, decided and did. */
export type ReconcileReport = {
  /** The cluster as decided on, with the assignments of this pass. */
  readonly snapshot: ClusterSnapshot;
  readonly decisions: readonly Decision[];
  readonly plans: readonly MachinePlan[];
  /** The plans in the order in which they were to be carried out; none follows one with a failure. */
  readonly waves: readonly (readonly MachinePlan[])[];
  /** One entry for every unit and machine where something was done, or could not be. */
  readonly outcomes: readonly UnitOutcome[];
};

/**
 * The one pass: load, observe, schedule, assign, plan, execute. Brings the units named by `only` to what the
 * registry wants of them, on every machine that answers; a name the registry does not have is wanted nowhere.
 * With `rolling`, units that run as wanted are restarted.
 */
export async function reconcile(
  edges: Edges,
  only: ReadonlySet<string> | 'everything',
  rolling?: RollingRestart,
): Promise<ReconcileReport> {
  const { tell } = edges;
  tell({ kind: 'pass-begun', scope: only });
  const registry = await edges.registry.load();
  const asked = only === 'everything' ? registry.units.keys() : only;
  const names = [...asked].filter((name) => !isTemplate(parseUnitName(name)));
  const request = { names, digests: true };
  const { views, sessions } = await observe(edges, registry, request);
  try {
    const scope = only === 'everything' ? everything(registry, views) : only;
    const { snapshot, decisions } = await assign(edges, views, scope);
    const plans = plan(snapshot, placementsOf(decisions, scope), { restart: rolling !== undefined });
    const waves = rolling === undefined ? [plans] : wavesOf(plans, rolling.maxParallel);
    tell({ kind: 'planned', waves: waves.map((wave) => wave.map(planned)) });
    const outcomes = await execute(waves, decisions, snapshot, sessions, tell);
    await forget(edges.registry, snapshot, decisions, outcomes);
    tell({ kind: 'pass-done', failures: outcomes.filter(({ failure }) => failure !== undefined).length });
    return { snapshot, decisions, plans, waves, outcomes };
  } finally {
    for (const session of sessions.values()) session.close();
  }
}

/** Every unit of the registry, and every unit that fleet put on a machine and the registry does not have. */
function everything(registry: RegistryView, views: readonly MachineView[]): ReadonlySet<string> {
  const found = views.flatMap(({ observation }) => observation?.units ?? []);
  const ours = found.filter(({ record }) => record !== undefined).map(({ name }) => name);
  return new Set([...registry.units.keys(), ...ours]);
}

/** Puts a registry view and a sighting together. */
export function snapshotOf(
  edges: Pick<Edges, 'clock' | 'agentTtlMs'>,
  registry: RegistryView,
  machines: readonly MachineView[],
): ClusterSnapshot {
  return {
    now: edges.clock.now(),
    agentTtlMs: edges.agentTtlMs,
    clusterId: registry.clusterId,
    revision: registry.token,
    units: [...registry.units.values()],
    machines,
  };
}

/** Decides where units go and stores it; a race lost against somebody else decides anew, on what they left. */
async function assign(
  edges: Edges,
  views: readonly MachineView[],
  scope: ReadonlySet<string>,
): Promise<{ readonly snapshot: ClusterSnapshot; readonly decisions: readonly Decision[] }> {
  let decisions: readonly Decision[] = [];
  const registry = await edges.registry.update((view) => {
    refuseOutdated(view, views);
    decisions = schedule(snapshotOf(edges, view, views), scope);
    // A registry that holds nothing yet stays so: it may be one that was lost, and waits to be recovered.
    if (view.clusterId === undefined) return [];
    return [...assignments(decisions, view), ...memories(views, view)];
  });
  const snapshot = snapshotOf(edges, registry, views);
  for (const decision of decisions) {
    const event = decided(decision, snapshot);
    if (event !== undefined) edges.tell(event);
  }
  return { snapshot, decisions };
}

function assignments(decisions: readonly Decision[], view: RegistryView): readonly Edit[] {
  return decisions.flatMap((decision): readonly Edit[] => {
    const unit = view.units.get(decision.unit);
    if (unit === undefined || (decision.kind !== 'place' && decision.kind !== 'move')) return [];
    return [{ kind: 'put-unit', unit: { ...unit, machine: decision.machine } }];
  });
}

/**
 * A unit that is wanted nowhere loses its assignment when it is known to be gone, and not before. One that was
 * changed since the decision may have been started again.
 */
async function forget(
  registry: Registry,
  snapshot: ClusterSnapshot,
  decisions: readonly Decision[],
  outcomes: readonly UnitOutcome[],
): Promise<void> {
  const failed = new Set(outcomes.filter(({ failure }) => failure !== undefined).map(({ unit }) => unit));
  const gone = decisions.filter(({ kind, unit }) => kind === 'release' && !failed.has(unit));
  if (gone.length === 0) return;
  const decided = new Map(snapshot.units.map(({ name, token }) => [name, token]));
  await registry.update((view) =>
    gone.flatMap(({ unit: name }): readonly Edit[] => {
      const unit = view.units.get(name);
      if (unit?.machine === undefined || unit.token !== decided.get(name)) return [];
      return [{ kind: 'put-unit', unit: { ...unit, machine: undefined } }];
    }),
  );
}
