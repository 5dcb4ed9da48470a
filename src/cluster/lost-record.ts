import type { DesiredUnit, MachineView } from './snapshot.ts';
import { isForeign, type ObservedUnit, type UnitRecord } from './unit-state.ts';

/**
 * The machine, where each unit that the registry has put there and that has no record is marked as lost. It has the record
 * that a pass may write, unless that would be a guess: its file is not that of the registry, and no damaged record says
 * that fleet has put it there. A global unit has no assignment; the link that starts it at boot stands for one.
 */
export function withLostRecords(view: MachineView, units: ReadonlyMap<string, DesiredUnit>): MachineView {
  const { observation } = view;
  if (observation?.units.every(({ record }) => record !== undefined) ?? true) return view;
  const marked = observation?.units.map((observed): ObservedUnit => {
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
  return { ...view, observation: observation && { ...observation, units: marked ?? [] } };
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
