import { FleetError } from '../base/errors.ts';
import { isGlob } from '../base/glob.ts';
import type { Registry } from '../registry/registry.ts';
import type { HistoryEntry, RegistryView } from '../registry/view.ts';
import { unitNameOf } from './local-file.ts';
import { selectUnits } from './select-units.ts';

/** One text a unit has had. */
export type HistoryRow = HistoryEntry & {
  /** Whether it is the text the registry has now; false throughout for a unit that was destroyed. */
  readonly current: boolean;
};

/** The texts of one unit, newest first. */
export type History = { readonly unit: string; readonly rows: readonly HistoryRow[] };

/** What a unit looked like before, also one that was destroyed. Throws FleetError `unit-not-found`. */
export async function history(registry: Registry, argument: string): Promise<History> {
  const view = await registry.load();
  const unit = isGlob(argument) ? onlyMatch(argument, view) : unitNameOf(argument).text;
  const rows = historyRows(unit, view);
  if (rows.length > 0) return { unit, rows };
  throw new FleetError('unit-not-found', `No such unit: "${unit}"`, {
    hint: 'Units in the registry: fleetctl list-unit-files',
  });
}

/** The one unit of the registry that a glob matches. */
function onlyMatch(glob: string, view: RegistryView): string {
  const { units, problems } = selectUnits([glob], view);
  const [only] = units;
  for (const { error } of problems) throw error;
  if (only !== undefined && units.length === 1) return only.name;
  const names = units.map(({ name }) => name).join(', ');
  throw new FleetError('usage', `Cannot tell which unit is meant by "${glob}": ${names}`, {
    hint: 'Name one of them',
  });
}

/** The texts of `unit`, newest first; none for a name that never was one. */
export function historyRows(unit: string, view: RegistryView): readonly HistoryRow[] {
  const isKnown = view.units.has(unit);
  return view
    .history(unit)
    .map((entry, index, { length }) => ({ ...entry, current: isKnown && index === length - 1 }))
    .toReversed();
}
