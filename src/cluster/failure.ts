import type { Tie } from './dependencies.ts';
import type { FenceReason } from './reason.ts';
import type { Token } from './snapshot.ts';
import type { SystemdState } from './unit-state.ts';

/** Why something could not be done with a unit on a machine. An entry of a report, worded in output/. */
export type Failure =
  /** The machine has a unit of that name that fleet did not put there. */
  | { readonly code: 'foreign'; readonly path: string }
  /** Its record is missing there, and its file is not that of the registry; `path` is empty where there is none. */
  | { readonly code: 'unrecorded'; readonly path: string }
  /** The machine has a unit that is called as one of its other names (`Alias=`) is. */
  | { readonly code: 'alias-taken'; readonly alias: string; readonly path: string }
  /** The machine has seen a newer decision about the unit. */
  | { readonly code: 'stale'; readonly token: Token; readonly seen: Token }
  /** Another process has changed the unit there since this decision looked at it. */
  | { readonly code: 'overtaken'; readonly token: Token; readonly seen: Token }
  /** Another cluster owns the machine. */
  | { readonly code: 'other-cluster'; readonly cluster: string }
  /** The machine could not show the unit, so that nothing may rest on its state; `detail` is why. */
  | { readonly code: 'unknown'; readonly detail: string }
  /** It is not started, for systemd would stop another unit that runs there (`Conflicts=` of `[Unit]`). */
  | { readonly code: 'excluded'; readonly tie: Tie }
  /** It is not touched, for another unit has to come or go first, and did not. */
  | { readonly code: 'waits'; readonly unit: string }
  /** It is fenced, and may not be started there. */
  | { readonly code: 'fenced'; readonly reason: FenceReason }
  /** Another process kept the machine's lock for too long; `holder` where the machine could tell which one. */
  | { readonly code: 'locked'; readonly holder?: LockHolder }
  /** The machine lacks tools without which it cannot be changed safely. */
  | { readonly code: 'tools'; readonly tools: readonly string[] }
  /** The machine could not be changed: `step` says what was tried, `detail` is what the machine said. */
  | { readonly code: 'step'; readonly step: MachineStep; readonly detail: string }
  /**
   * It was to stop and is not down: its ActiveState and SubState, or `job start`. `again`: it is in another run than
   * before, which `causes` may have begun. `detail` is what systemctl said, `journal` its last lines, oldest first.
   */
  | {
      readonly code: 'not-down';
      readonly state: string;
      readonly again: boolean;
      readonly causes: readonly Cause[];
      readonly detail: string;
      readonly journal: readonly string[];
    }
  /** It is not up, for its start waits in systemd for other jobs, such as `db.service/start`. */
  | { readonly code: 'queued'; readonly waitsFor: readonly string[] }
  /** The machine did not say what became of it. */
  | { readonly code: 'unverified' }
  /** It was started and is not up. `journal` holds its last lines, oldest first. */
  | {
      readonly code: 'not-up';
      readonly state: SystemdState;
      readonly detail: string;
      readonly journal: readonly string[];
    }
  /** The machine did not answer, or stopped answering on the way, or cannot be used; only the last is sure to be up. */
  | {
      readonly code: 'unreachable';
      readonly message: string;
      readonly hint: string | undefined;
      readonly mayBeDown: boolean;
    };

/** A unit that is up and what it has to do with another one, which systemd may have started for its sake. */
export type Cause = { readonly relation: CauseRelation; readonly unit: string };
export const CAUSE_RELATIONS = ['UpheldBy', 'TriggeredBy', 'BoundBy', 'RequiredBy'] as const;
export type CauseRelation = (typeof CAUSE_RELATIONS)[number];

/** A process of a machine. */
export type LockHolder = { readonly pid: number; readonly user: string; readonly command: string };

/** The parts of a pass on one machine that can fail by themselves. */
export type MachineStep =
  | 'prepare'
  | 'lock'
  | 'cluster'
  | 'write'
  | 'flush'
  | 'stop'
  | 'install'
  | 'remove'
  | 'forbid'
  | 'reload';

/** How the changes of one unit on one machine went. */
export type UnitOutcome = {
  readonly unit: string;
  /** Name of the machine in fleet.conf. */
  readonly machine: string;
  /** What systemd says of the unit afterwards; undefined when it could not be asked. */
  readonly state: SystemdState | undefined;
  /** Undefined when everything asked for holds. */
  readonly failure: Failure | undefined;
  /** The job that was handed to systemd and not waited for. */
  readonly triggered?: 'start' | 'stop';
  /** How many of its processes still run after its stop, because of its KillMode=; undefined for none. */
  readonly left?: number;
};
