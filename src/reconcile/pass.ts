import type { UnitOutcome } from '../cluster/failure.ts';
import type { ClusterSnapshot, Token } from '../cluster/snapshot.ts';
import type { RolloutLimits } from '../plan/rollout.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { Action } from '../plan/steps.ts';
import type { VoterChange } from '../quorum/electorate.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Decision } from '../schedule/decision.ts';
import type { Waits } from '../systemd/change-jobs.ts';

/** Options of a pass. */
export type PassOptions = {
  /** The actions that a command requests for units in this pass only. */
  readonly actions?: ReadonlyMap<string, Action | undefined> | undefined;
  /** How many copies are changed at once, by default all. With a limit, the first failure ends the pass. */
  readonly maxParallel?: number | undefined;
  /** What a command gives for rollouts in this pass, in place of the options of the units. */
  readonly limits?: RolloutLimits | undefined;
  /** Name of a machine that its standard units leave. */
  readonly drain?: string;
  /** The registry after the change of the command; it is read if this is undefined. */
  readonly known?: RegistryView | undefined;
  /** Ends the pass: it waits for the changes that were sent, and sends no others. */
  readonly signal?: AbortSignal | undefined;
};

/** The observations, decisions and results of a pass. */
export type Pass = {
  /** The cluster as decided on, with the assignments of this pass. */
  readonly snapshot: ClusterSnapshot;
  readonly decisions: readonly Decision[];
  /** The plans in order; a machine has several if a change has to wait for another machine. */
  readonly plans: readonly MachinePlan[];
  /** One entry for every unit and machine with a change or a failure. */
  readonly outcomes: readonly UnitOutcome[];
};

/** The same with what follows from it. */
export type ReconcileReport = Pass & {
  /** The plans in the order of execution. */
  readonly waves: readonly (readonly MachinePlan[])[];
  /** The registry with the results of the pass; undefined if there were none to store, or another process ran the pass. */
  readonly settled?: RegistryView | undefined;
  /**
   * The units whose new text failed, and whose target is the old one again, with its hash; undefined for none. `isBack` if no
   * machine has failed to return to it.
   */
  readonly restored?:
    | readonly { readonly unit: string; readonly hash: string; readonly isBack: boolean }[]
    | undefined;
  /** The voters of the registry that were replaced; absent if another process ran the pass. */
  readonly newVoters?: readonly VoterChange[];
};

/** A pass that a controller runs for a command. */
export type PassRequest = Pick<PassOptions, 'actions' | 'maxParallel' | 'limits'> & {
  readonly units: ReadonlySet<string>;
  readonly waits: Waits;
  /** The user of the command, as `user@host`. */
  readonly author: string;
  /** The cluster id, the revision and the token of the registry after the command's change; an older fleetctl sends no token. */
  readonly clusterId: string | undefined;
  readonly revision: number;
  readonly token?: Token | undefined;
};
