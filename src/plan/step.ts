import type { Failure } from '../cluster/failure.ts';
import type { Lease, Token } from '../cluster/snapshot.ts';
import type { UnitRecord } from '../cluster/unit-state.ts';

/** What a started unit has to do before it counts as healthy; times in ms. */
export type HealthRequest = {
  readonly unit: string;
  /** How long it has to stay in one run. */
  readonly forMs: number;
  /** A shell command that has to succeed; undefined for none. */
  readonly command: string | undefined;
  /** The limit for that command, with its repetitions. */
  readonly withinMs: number;
};

/** One action on one unit of one machine. Data only; systemd/ executes it. */
export type Step =
  /**
   * Arm a revert of the steps that follow, which the machine carries out unless the change is confirmed over a new login
   * within `windowMs`. `hash` and `digest` are those of the text to confirm. `health` is checked before that.
   */
  | {
      readonly kind: 'arm';
      readonly windowMs: number;
      readonly hash: string;
      readonly digest: string;
      readonly health?: HealthRequest | undefined;
    }
  /** Stop the unit and wait until it has stopped. */
  | { readonly kind: 'stop' }
  /**
   * Write its unit file. `under` is as for a start, because other units may start it from then on. `altered` is how the
   * present file was changed on the machine.
   */
  | {
      readonly kind: 'write';
      readonly text: string;
      readonly altered?: 'changed' | 'masked';
      readonly under?: Lease | undefined;
    }
  /** Write a record in place of a lost one. */
  | { readonly kind: 'adopt'; readonly record: UnitRecord }
  /**
   * Write its record. `links` are all links to it: the one that starts it at boot, and those of `[Install]`. `fence` is
   * the text of the drop-in that ties it to the lease.
   */
  | {
      readonly kind: 'record';
      readonly record: UnitRecord;
      readonly links: readonly string[];
      readonly fence?: string;
    }
  /** Start it; with `under` only before the deadline of that lease, even if the machine has a newer one by then. */
  | { readonly kind: 'start'; readonly under?: Lease | undefined }
  /** Watch whether it stays up, as after a start. */
  | { readonly kind: 'watch' }
  /** Restart it in one job, so that systemd also restarts the units that stop with it. */
  | { readonly kind: 'restart'; readonly under?: Lease | undefined }
  /** Check that it can be stopped and removed, and change nothing. */
  | { readonly kind: 'check' }
  /** Verify that it does not run, and record the token, so that older decisions cannot start it; forget what was reverted. */
  | { readonly kind: 'forbid' }
  /** Remove its file and its record. */
  | { readonly kind: 'remove' };

/** The reason why a unit on a machine must not be changed. */
export type Obstacle = Extract<
  Failure,
  {
    code:
      | 'foreign'
      | 'unrecorded'
      | 'stale'
      | 'fenced'
      | 'unknown'
      | 'excluded'
      | 'held'
      | 'gated'
      | 'awaits-confirmation';
  }
>;

/** All steps for one unit on one machine, in order; none if there is an obstacle. */
export type UnitChange = {
  readonly unit: string;
  readonly token: Token;
  readonly steps: readonly Step[];
  readonly obstacle: Obstacle | undefined;
  /** The token of the machine's record at the time of the decision, 0 for none: another one means a newer decision. */
  readonly over?: Token;
};

/** The changes on one machine, by its name in fleet.conf. */
export type MachinePlan = { readonly machine: string; readonly changes: readonly UnitChange[] };

/** Plans that are executed together, on all of their machines at once. */
export type Wave = {
  readonly plans: readonly MachinePlan[];
  /** The number of its piece: a rollout that fails in one piece does not reach the later ones. */
  readonly piece: number;
  /** A failure in it ends the pass, except for the waves with `finishes`. */
  readonly isGate: boolean;
  /** After a failure, it is still executed for units that an earlier wave has changed. */
  readonly finishes: boolean;
  /** It has only checks, which do not count as changes of units. */
  readonly isCheck: boolean;
  /** Unit → the units that have to succeed before it is changed. */
  readonly waitsFor: ReadonlyMap<string, readonly string[]>;
};

/** Whether the change has a step of one of these kinds. */
export function hasStep({ steps }: Pick<UnitChange, 'steps'>, ...kinds: readonly Step['kind'][]): boolean {
  return steps.some(({ kind }) => kinds.includes(kind));
}

/** Whether the change succeeds only if the unit is up afterwards. */
export function expectsUp(change: Pick<UnitChange, 'steps'>): boolean {
  return hasStep(change, 'start', 'restart', 'watch');
}

/** Every change with its machine. */
export function changesIn(
  plans: readonly MachinePlan[],
): readonly { readonly machine: string; readonly change: UnitChange }[] {
  return plans.flatMap(({ machine, changes }) => changes.map((change) => ({ machine, change })));
}

/** The plans with only those changes. */
export function onlyChanges(
  plans: readonly MachinePlan[],
  isMeant: (change: UnitChange) => boolean,
): readonly MachinePlan[] {
  return plans
    .map(({ machine, changes }) => ({ machine, changes: changes.filter(isMeant) }))
    .filter(({ changes }) => changes.length > 0);
}
