import type { DesiredUnit, MachineView } from './snapshot.ts';
import { isForeign, type ObservedUnit, type UnitRecord } from './unit-state.ts';

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

/**
 * The machine, where each unit that the registry has put there and that has no record is marked as lost. It has the record
 * that a pass may write, unless that would be a guess: its file is not that of the registry, and no damaged record says
 * that fleet has put it there. A global unit has no assignment; the link that starts it at boot stands for one.
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

/** Its token is older than every other one. */
function substitute({ digest = '' }: ObservedUnit, { name, target }: DesiredUnit): UnitRecord {
  return { unit: name, token: 0, hash: '', digest, target };
}
