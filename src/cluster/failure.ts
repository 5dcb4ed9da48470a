import type { RevertCause } from './confirmation.ts';
import type { FenceReason, Tie } from './reason.ts';
import type { Held, Token } from './snapshot.ts';
import type { SystemdState } from './unit-state.ts';

/** The reason why an operation on a unit of a machine failed. An entry of a report, worded in output/. */
export type Failure =
  /** The machine has a unit of that name that fleet did not write. */
  | { readonly code: 'foreign'; readonly path: string }
  /** Its record is missing there, and its file differs from the registry; `path` is empty without a file. */
  | { readonly code: 'unrecorded'; readonly path: string }
  /** The machine has another unit whose name is an alias (`Alias=`) of this one. */
  | { readonly code: 'alias-taken'; readonly alias: string; readonly path: string }
  /** The machine has applied a newer decision about the unit. */
  | { readonly code: 'stale'; readonly token: Token; readonly seen: Token }
  /** Another process has changed the unit there since the observation that this decision is based on. */
  | { readonly code: 'overtaken'; readonly token: Token; readonly seen: Token }
  /** Another cluster owns the machine. */
  | { readonly code: 'other-cluster'; readonly cluster: string }
  /** The machine could not report the state of the unit, so no decision may depend on it; `detail` is the reason. */
  | { readonly code: 'unknown'; readonly detail: string }
  /** It is not started, because systemd would stop another unit that runs there (`Conflicts=` of `[Unit]`). */
  | { readonly code: 'excluded'; readonly tie: Tie }
  /** It is not changed, because another unit has to be started or stopped first, and was not. */
  | { readonly code: 'waits'; readonly unit: string }
  /**
   * Its text, with that hash of fleet, has failed, so that it is not put there or not started again. `keeps`: the copy there
   * has an older text, and is in the target state. `isFirst`: it has no older text that has not failed.
   */
  | {
      readonly code: 'held';
      readonly hash: string;
      readonly held: Held;
      readonly keeps?: boolean;
      readonly isFirst?: boolean;
    }
  /**
   * It keeps its old text for now, because `down` have to be up first: at most `limit` copies may be down at once. With `ended`,
   * the rollout has not gone beyond that copy, which may be up: its change has failed, or was not waited for without a `failure`.
   */
  | {
      readonly code: 'gated';
      readonly limit: number;
      readonly down: readonly DownCopy[];
      readonly ended?: Copy & { readonly failure: Failure | undefined };
    }
  /** It is fenced, and may not be started there. */
  | { readonly code: 'fenced'; readonly reason: FenceReason }
  /** An earlier change of it has to be confirmed first, or is reverted in `leftMs` (0 if that is under way). */
  | { readonly code: 'awaits-confirmation'; readonly leftMs: number }
  /**
   * Its change was not confirmed within `windowMs`, because of `cause` if it is known. The machine reverts it; `reverted` is
   * the reason that it has reported after that.
   */
  | {
      readonly code: 'unconfirmed';
      readonly windowMs: number;
      readonly reverted?: RevertCause | undefined;
      readonly cause: Failure | undefined;
    }
  /** Another process held the machine's lock for too long; `holder` if the machine could identify it. */
  | { readonly code: 'locked'; readonly holder?: LockHolder }
  /** The machine lacks tools that a safe change requires. */
  | { readonly code: 'tools'; readonly tools: readonly string[] }
  /** A `step` of the change failed; `detail` is the error of the machine. */
  | { readonly code: 'step'; readonly step: MachineStep; readonly detail: string }
  /**
   * It had to stop and is not down. `state` is its ActiveState and SubState, or `job start`. `again`: it is in another run
   * than before, which `causes` may have started. `detail` is the output of systemctl, `journal` its last lines, oldest first.
   */
  | {
      readonly code: 'not-down';
      readonly state: string;
      readonly again: boolean;
      readonly causes: readonly Cause[];
      readonly detail: string;
      readonly journal: readonly string[];
    }
  /** It is not up, because its start job waits for other jobs, such as `db.service/start`. */
  | { readonly code: 'queued'; readonly waitsFor: readonly string[] }
  /** The machine did not report the result. */
  | { readonly code: 'unverified' }
  /**
   * It was started and is not up. `journal` holds its last lines, oldest first. `required`: the failed units because of which systemd
   * has not run its text. So the text has not failed; the one that it has replaced required these units, too.
   */
  | {
      readonly code: 'not-up';
      readonly state: SystemdState;
      readonly detail: string;
      readonly journal: readonly string[];
      readonly required?: readonly string[];
    }
  /**
   * It is up and not healthy: its HealthExec= did not succeed within that time in ms, and `lines` are its last output; or it
   * has been restarted or has ended within HealthyFor=.
   */
  | {
      readonly code: 'unhealthy';
      readonly what: 'command' | 'restarted';
      readonly withinMs: number;
      readonly lines: readonly string[];
    }
  /** The machine did not answer, or stopped answering, or cannot be used. */
  | {
      readonly code: 'unreachable';
      readonly message: string;
      readonly hint: string | undefined;
      readonly mayBeDown: boolean;
    };

/** Whether the copy is in the target state: a copy with an older text is, while the new one is held. */
export function isInTarget(failure: Failure | undefined): boolean {
  return failure === undefined || (failure.code === 'held' && failure.keeps === true);
}

/** A unit on a machine, by the names of both. */
export type Copy = { readonly unit: string; readonly machine: string };

/**
 * A copy that is not known to be up. Its machine is empty if it has none, and does not answer if it `isUnreachable`; `isUnknown` if
 * the machine cannot report its state.
 */
export type DownCopy = Copy & { readonly isUnreachable: boolean; readonly isUnknown?: true };

/** A unit that is up, and the relation because of which systemd may have started another unit for it. */
export type Cause = { readonly relation: CauseRelation; readonly unit: string };
export const CAUSE_RELATIONS = ['UpheldBy', 'TriggeredBy', 'BoundBy', 'RequiredBy'] as const;
export type CauseRelation = (typeof CAUSE_RELATIONS)[number];

/** A process of a machine. */
export type LockHolder = { readonly pid: number; readonly user: string; readonly command: string };

/** The parts of a change on one machine that can fail separately. */
export type MachineStep =
  | 'prepare'
  | 'lock'
  | 'cluster'
  | 'write'
  | 'rewrite'
  | 'flush'
  | 'arm'
  | 'stop'
  | 'install'
  | 'remove'
  | 'forbid'
  | 'reload';

/** The result of the changes of one unit on one machine. */
export type UnitOutcome = {
  readonly unit: string;
  /** Name of the machine in fleet.conf. */
  readonly machine: string;
  /** The state of the unit afterwards; undefined if it could not be read. */
  readonly state: SystemdState | undefined;
  /** Undefined if every requested change is in effect. */
  readonly failure: Failure | undefined;
  /** The failure has led to a hold of its text; `isFirst` as for the failure `held`. */
  readonly newHold?: { readonly isFirst: boolean };
  /** The job that was queued in systemd without waiting for it. */
  readonly triggered?: 'start' | 'stop';
  /** How many of its processes still run after its stop, because of its KillMode=; undefined for none. */
  readonly left?: number;
};
