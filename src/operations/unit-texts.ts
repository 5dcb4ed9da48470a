import { FleetError } from '../base/errors.ts';
import { isGlob } from '../base/glob.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { Registry } from '../registry/registry.ts';
import type { HistoryEntry, RegistryView, Verdict } from '../registry/view.ts';
import { isTemplate, parseUnitName, templateOf } from '../unit/unit-name.ts';
import { globOf, unitNameOf } from './local-file.ts';
import { selectUnits } from './select-units.ts';

/** An entry in the history of a unit. */
export type HistoryRow = HistoryEntry & {
  /** Whether it is the present text of the registry; false for a destroyed unit. */
  readonly current: boolean;
  /** The result of its last start; undefined for a text that was never started. */
  readonly verdict: Verdict | undefined;
};

/** The texts of one unit, newest first. */
export type History = { readonly unit: string; readonly rows: readonly HistoryRow[] };

/** The history of a unit, also of a destroyed one. Throws FleetError `unit-not-found`. */
export async function history(registry: Registry, argument: string): Promise<History> {
  const { unit, rows } = await registry.read((view) => {
    const name = isGlob(argument) ? onlyMatch(argument, view.whole) : unitNameOf(argument).text;
    return { unit: name, rows: historyRows(name, view) };
  });
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
  throw new FleetError('usage', `"${glob}" matches several units: ${names}`, {
    hint: 'Name one of them',
  });
}

/** The texts of `unit`, newest first; none for an unknown name. */
export function historyRows(unit: string, view: RegistryView): readonly HistoryRow[] {
  view.need(`units/${unit}`, `history/${unit}`);
  const isKnown = view.revisionOf(`units/${unit}`) > 0;
  const verdicts = verdictsOn(unit, view);
  return view
    .history(unit)
    .map((entry, index, { length }) => ({
      ...entry,
      current: isKnown && index === length - 1,
      verdict: verdicts.get(entry.digest),
    }))
    .toReversed();
}

/** Digest → verdict. A template never runs, so it has the latest verdict of its instances. */
function verdictsOn(unit: string, view: RegistryView): ReadonlyMap<string, Verdict> {
  const isInstance = (name: string): boolean => templateOf(parseUnitName(name))?.text === unit;
  const names = isTemplate(parseUnitName(unit)) ? view.unitNames.filter(isInstance) : [unit];
  view.need(...names.map((name) => `history/${name}`));
  const all = names.flatMap((name) => Object.entries(view.verdicts(name)));
  return new Map(all.toSorted(([, a], [, b]) => a.at - b.at));
}

/**
 * The texts in `rows` (newest first) before the present one, newest first. A return to an earlier text cancels the entries
 * after it: of a, b, a only a is left, without an earlier text.
 */
export function earlierTexts(rows: readonly HistoryRow[]): readonly HistoryRow[] {
  const kept: HistoryRow[] = [];
  for (const row of rows.toReversed()) {
    const before = kept.findIndex(({ digest }) => digest === row.digest);
    if (before >= 0) kept.length = before;
    kept.push(row);
  }
  return kept.slice(0, -1).toReversed();
}

/** A unit of the registry and its text; it may be unconfirmed. */
export type NamedText = Pick<DesiredUnit, 'name' | 'text' | 'hash' | 'digest'>;

/** The units that a name or a glob matches, with their texts as submitted. Throws FleetError `unit-not-found`. */
export async function cat(registry: Registry, argument: string): Promise<readonly NamedText[]> {
  const isName = globOf(argument) === undefined;
  const { units, problems } = await registry.read((view) => {
    const { asWritten } = isName ? view : view.whole;
    const unconfirmed = isName ? asWritten.unconfirmed.get(unitNameOf(argument).text) : undefined;
    return unconfirmed === undefined
      ? selectUnits([argument], asWritten)
      : { units: [unconfirmed], problems: [] };
  });
  for (const { error } of problems) throw error;
  return units;
}

/** The exact text of one unit; of several, each after a line with its name. */
export function textOf(units: readonly NamedText[]): string {
  const [only] = units;
  if (only !== undefined && units.length === 1) return only.text;
  return units.map(({ name, text }) => `# ${name}\n${text}`).join('\n');
}
