import type { Failure } from '../cluster/failure.ts';
import type { Token } from '../cluster/snapshot.ts';
import type { UnitRecord } from '../cluster/unit-state.ts';

/** One thing to do with one unit on one machine. Data only: systemd/ knows how. */
export type Step =
  /** Stop it and wait until it has stopped. */
  | { readonly kind: 'stop' }
  /** Put its unit file there. */
  | { readonly kind: 'write'; readonly text: string }
  /** Note what was put there. `links` are all the links to it: what starts it at boot, what `[Install]` asks for. */
  | { readonly kind: 'record'; readonly record: UnitRecord; readonly links: readonly string[] }
  /** Start it; `reset` clears an earlier failure first, which would otherwise count against start limits. */
  | { readonly kind: 'start'; readonly reset: boolean }
  /** Stop and start it in one job of systemd, which brings back what was stopped along with it. */
  | { readonly kind: 'restart' }
  /** Take away its file and its record. */
  | { readonly kind: 'remove' };

/** Why nothing may be done with a unit on a machine. */
export type Obstacle = Extract<Failure, { code: 'foreign' | 'stale' }>;

/** All that happens to one unit on one machine, in order; an obstacle leaves nothing to do. */
export type UnitChange = {
  readonly unit: string;
  readonly token: Token;
  readonly steps: readonly Step[];
  readonly obstacle: Obstacle | undefined;
};

/** The changes on one machine, by its name in fleet.conf. */
export type MachinePlan = { readonly machine: string; readonly changes: readonly UnitChange[] };
