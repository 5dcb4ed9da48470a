import type { Failure } from '../cluster/failure.ts';
import { type ClusterSnapshot, observedOn, readableOf } from '../cluster/snapshot.ts';
import { changesIn, hasStep, type UnitChange } from '../plan/step.ts';
import { plansFor } from '../reconcile/decided-plans.ts';
import type { PassOptions, ReconcileReport } from '../reconcile/pass.ts';
import { machinesOf } from '../schedule/decision.ts';
import { schedule } from '../schedule/schedule.ts';

/**
 * The names of the machines that a pass of a command has to observe before it decides. A machine is left out if the last
 * observation of it is enough, because the changes that follow check the unit themselves: the machine refuses them if it
 * has another record of the unit than was observed, or a unit of another origin, and reports the state of the unit
 * afterwards. These are changes that write and start a new text, stop a unit, or remove it. Pure.
 */
export function machinesToObserve(
  snapshot: ClusterSnapshot,
  scope: ReadonlySet<string>,
  { actions = new Map() }: PassOptions,
): ReadonlySet<string> {
  const all = new Set(snapshot.machines.map(({ machine }) => machine.name));
  const units = snapshot.units.filter(({ name }) => scope.has(name));
  const tied = tiedUnits(snapshot);
  if (units.length < scope.size || units.some(({ name }) => tied.has(name))) return all;
  if ([...actions.values()].some((action) => action === 'restart' || action === 'run')) return all;
  const decisions = schedule(snapshot, readableOf(scope, snapshot));
  if (decisions.some(({ kind }) => kind === 'move' || kind === 'unschedulable')) return all;
  const { plans, rollouts } = plansFor(decisions, snapshot, scope, { actions, isGated: false });
  // Whether a copy may go down depends on the states of all others.
  if (rollouts.some(({ up, down, updated }) => up.size + down.length + updated.length > 1)) return all;
  const verified = new Set(
    changesIn(plans).flatMap(({ machine, change }) =>
      isVerified(change) ? `${machine} ${change.unit}` : [],
    ),
  );
  const fresh = new Set<string>();
  for (const decision of decisions) {
    const { unit } = decision;
    const ids = new Set([...machinesOf(decision), ...('from' in decision ? [decision.from] : [])]);
    for (const view of snapshot.machines) {
      const isConcerned = ids.has(view.id) || observedOn(view, unit) !== undefined;
      const { name } = view.machine;
      if (isConcerned && !verified.has(`${name} ${unit}`)) fresh.add(name);
    }
  }
  return fresh;
}

/** The units that are decided together with others of the registry, or need a lease. */
function tiedUnits({ units }: ClusterSnapshot): ReadonlySet<string> {
  const names = new Set(units.map(({ name }) => name));
  return new Set(
    units.flatMap(({ name, triggers, placement, dependencies }) => {
      const others = [...placement.replaces, ...dependencies.map(({ unit }) => unit)].filter((unit) =>
        names.has(unit),
      );
      if (triggers !== undefined) others.push(triggers);
      return others.length > 0 || placement.fence !== undefined ? [name, ...others] : [];
    }),
  );
}

function isVerified(change: UnitChange): boolean {
  if (change.obstacle !== undefined) return false;
  return hasStep(change, 'start') ? hasStep(change, 'write') : hasStep(change, 'stop', 'remove');
}

/** Whether a machine refused a change, because the last observation of it was not enough. */
export function wasOutdated({ outcomes }: Pick<ReconcileReport, 'outcomes'>): boolean {
  return outcomes.some(({ failure }) => failure !== undefined && MAY_BE_OUTDATED[failure.code]);
}

/** Whether an older observation may be the cause of a failure. */
const MAY_BE_OUTDATED: Readonly<Record<Failure['code'], boolean>> = {
  foreign: true,
  unrecorded: true,
  'alias-taken': true,
  stale: true,
  overtaken: true,
  excluded: true,
  unknown: true,
  'awaits-confirmation': true,
  'other-cluster': false,
  held: false,
  gated: true,
  unconfirmed: false,
  waits: false,
  fenced: false,
  locked: false,
  tools: false,
  step: false,
  'not-down': false,
  queued: false,
  unverified: false,
  'not-up': false,
  unhealthy: false,
  unreachable: false,
};
