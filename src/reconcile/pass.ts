import type { MachinePlan } from '../plan/step.ts';
import type { Action } from '../plan/steps.ts';
import type { Waits } from '../systemd/change-jobs.ts';
import type { Pass } from './verdicts.ts';

/** What a pass does in addition to repairs. */
export type PassOptions = {
  /** What a command asks of units in this pass alone; see {@link Action}. */
  readonly actions?: ReadonlyMap<string, Action | undefined> | undefined;
  /** How many copies may be under way at once; the pass ends with the first failure then. All without it. */
  readonly maxParallel?: number | undefined;
  /** Name of a machine that its standard units leave. */
  readonly drain?: string;
  /** Ends the pass: changes that were sent are awaited, and no others follow. */
  readonly signal?: AbortSignal | undefined;
};

/** Everything a pass saw, decided and did. */
export type ReconcileReport = Pass & {
  /** The plans in the order in which they were to be carried out; none follows one with a failure. */
  readonly waves: readonly (readonly MachinePlan[])[];
};

/** A pass that a controller runs for a command. */
export type PassRequest = Pick<PassOptions, 'actions' | 'maxParallel'> & {
  readonly units: ReadonlySet<string>;
  readonly waits: Waits;
  /** The user of the command, as `user@host`. */
  readonly author: string;
  /** The registry as the command left it: its cluster id and revision. */
  readonly clusterId: string | undefined;
  readonly revision: number;
};
