import type { DesiredUnit, MachineView } from './snapshot.ts';
import { isForeign, type ObservedUnit, type UnitRecord } from './unit-state.ts';

/**
 * The difference between a unit on a machine and its unit in the registry. Its record is `missing` or `damaged`; fleet
 * has written an older text (`outdated`); its file was changed or removed on the machine (`altered`, known only from an
 * answer with digests); or a drop-in of another origin extends it (`drop-in`).
 */
export type Drift = 'missing' | 'damaged' | 'outdated' | 'altered' | 'drop-in';

/** Undefined if no difference is known, and for a unit that fleet did not write. */
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

/**
 * The machine, with each assigned unit that has no record marked as `lost`. Such a unit gets the record that a pass may
 * write. It gets none if its file differs from the registry and no damaged record proves that fleet wrote it. A global
 * unit has no assignment; the link that starts it at boot is taken as one.
 */
export function withLostRecords(view: MachineView, units: ReadonlyMap<string, DesiredUnit>): MachineView {
  const { observation } = view;
  if (observation === undefined || observation.units.every(({ record }) => record !== undefined)) return view;
  const marked = observation.units.map((observed): ObservedUnit => {
    const unit = units.get(observed.name);
    const { record, lost = unit !== undefined && isLost(observed, unit, view) ? 'missing' : undefined } =
      observed;
    if (record !== undefined || lost === undefined) return observed;
    const isOurs = lost === 'damaged' || observed.digest === unit?.digest;
    return {
      ...observed,
      lost,
      record: isOurs && unit !== undefined ? substitute(observed, unit) : undefined,
    };
  });
  return { ...view, observation: { ...observation, units: marked } };
}

function isLost(
  observed: ObservedUnit,
  { placement, machine, name, digest }: DesiredUnit,
  { id }: MachineView,
): boolean {
  if (!isForeign(observed)) return false;
  if (!placement.global) return machine !== undefined && machine === id;
  return observed.digest === digest && (observed.links ?? []).includes(`fleet.target.wants/${name}`);
}

/** A record whose token is older than every other one. */
function substitute({ digest = '' }: ObservedUnit, { name, target }: DesiredUnit): UnitRecord {
  return { unit: name, token: 0, hash: '', digest, target };
}
