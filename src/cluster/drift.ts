import type { DesiredUnit } from './snapshot.ts';
import type { ObservedUnit } from './unit-state.ts';

/**
 * How a unit on a machine is not what the registry has put there: its record is `missing` or `damaged`, fleet has put an
 * older text there (`outdated`), its file was changed or removed on the machine (`altered`), which only an answer with digests tells, or a file beside it
 * adds to it (`drop-in`).
 */
export type Drift = 'missing' | 'damaged' | 'outdated' | 'altered' | 'drop-in';

/** Undefined where nothing is known to differ, and for a unit that fleet did not put there. */
export function driftOf(
  { record, lost, digest, links, state }: ObservedUnit,
  unit: Pick<DesiredUnit, 'digest'>,
): Drift | undefined {
  if (lost !== undefined) return lost;
  if (record === undefined) return undefined;
  if (record.digest !== unit.digest) return 'outdated';
  // An answer with digests has links as well.
  if ((digest !== undefined || links !== undefined) && digest !== record.digest) return 'altered';
  return state.dropIns === undefined ? undefined : 'drop-in';
}
