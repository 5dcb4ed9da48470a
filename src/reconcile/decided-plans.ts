import { type ClusterSnapshot, readableOf } from '../cluster/snapshot.ts';
import { type PlanOptions, plan } from '../plan/plan.ts';
import { type Rollout, type RolloutLimits, rolloutsOf } from '../plan/rollout.ts';
import type { MachinePlan } from '../plan/step.ts';
import { type Decision, placementsOf, unseenOf } from '../schedule/decision.ts';

/** The plans for decisions, and the rollouts that they belong to. */
export type DecidedPlans = {
  readonly plans: readonly MachinePlan[];
  /** Unit → ids of the machines that shall have it. */
  readonly placements: ReadonlyMap<string, readonly string[]>;
  readonly rollouts: readonly Rollout[];
};

type Options = Pick<PlanOptions, 'actions'> & {
  readonly limits?: RolloutLimits | undefined;
  /** Whether rollouts hold changes back; not if the caller orders copies itself. */
  readonly isGated: boolean;
};

/** Plans what was decided about the units of `scope` that can be read. Pure. */
export function plansFor(
  decisions: readonly Decision[],
  snapshot: ClusterSnapshot,
  scope: ReadonlySet<string>,
  { actions, limits, isGated }: Options,
): DecidedPlans {
  const placements = placementsOf(decisions, readableOf(scope, snapshot));
  const unseen = unseenOf(decisions);
  const plans = plan(snapshot, placements, { actions, rollouts: isGated ? { unseen, limits } : undefined });
  return { plans, placements, rollouts: rolloutsOf(plans, { snapshot, placements, unseen, limits }) };
}
