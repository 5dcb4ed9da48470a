import type { Failure } from '../cluster/failure.ts';
import type { Lease, Token } from '../cluster/snapshot.ts';
import type { UnitRecord } from '../cluster/unit-state.ts';

/** One thing to do with one unit on one machine. Data only: systemd/ knows how. */
export type Step =
  /** Stop it and wait until it has stopped. */
  | { readonly kind: 'stop' }
  /**
   * Put its unit file there; with `under` as for a start, for what is there may be started by others. `altered`: how
   * the file that is there was changed on the machine.
   */
  | {
      readonly kind: 'write';
      readonly text: string;
      readonly altered?: 'changed' | 'masked';
      readonly under?: Lease | undefined;
    }
  /** Note in place of a lost record what is there. */
  | { readonly kind: 'adopt'; readonly record: UnitRecord }
  /**
   * Note what was put there. `links` are all the links to it: what starts it at boot, what `[Install]` asks for.
   * `fence` is the text of the drop-in that ties it to the lease.
   */
  | {
      readonly kind: 'record';
      readonly record: UnitRecord;
      readonly links: readonly string[];
      readonly fence?: string;
    }
  /** Start it; with `under` only until the deadline of that lease, even if a newer one holds by then. */
  | { readonly kind: 'start'; readonly under?: Lease | undefined }
  /** Leave it alone and see whether it stays up, as after a start. */
  | { readonly kind: 'watch' }
  /** Stop and start it in one job of systemd, which brings back what was stopped along with it. */
  | { readonly kind: 'restart'; readonly under?: Lease | undefined }
  /** Check that it can be stopped and removed, and change nothing. */
  | { readonly kind: 'check' }
  /** See that it does not run, and from now on refuse to start it for an older decision. */
  | { readonly kind: 'forbid' }
  /** Remove its file and its record. */
  | { readonly kind: 'remove' };

/** Why nothing may be done with a unit on a machine. */
export type Obstacle = Extract<
  Failure,
  { code: 'foreign' | 'unrecorded' | 'stale' | 'fenced' | 'unknown' | 'excluded' }
>;

/** All that happens to one unit on one machine, in order; an obstacle leaves nothing to do. */
export type UnitChange = {
  readonly unit: string;
  readonly token: Token;
  readonly steps: readonly Step[];
  readonly obstacle: Obstacle | undefined;
  /** The token of the record that the machine had when this was decided, 0 for none: another one there means a newer look. */
  readonly over?: Token;
};

/** The changes on one machine, by its name in fleet.conf. */
export type MachinePlan = { readonly machine: string; readonly changes: readonly UnitChange[] };

/** Plans that are carried out together, on all of their machines at once. */
export type Wave = {
  readonly plans: readonly MachinePlan[];
  /** A failure in it is the end of the pass, but for what `finishes` the waves that were carried out. */
  readonly isGate: boolean;
  /** It has only what follows from an earlier wave: of units that were not touched before, nothing. */
  readonly finishes: boolean;
  /** It changes nothing, and no unit counts as touched by it. */
  readonly isCheck: boolean;
  /** Unit → those that have to succeed before it is touched. */
  readonly waitsFor: ReadonlyMap<string, readonly string[]>;
};

/** Whether the change has a step of one of these kinds. */
export function hasStep({ steps }: Pick<UnitChange, 'steps'>, ...kinds: readonly Step['kind'][]): boolean {
  return steps.some(({ kind }) => kinds.includes(kind));
}
