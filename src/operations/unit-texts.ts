import { FleetError } from '../base/errors.ts';
import { isGlob } from '../base/glob.ts';
import type { ClusterSnapshot, DesiredUnit } from '../cluster/snapshot.ts';
import type { Registry } from '../registry/registry.ts';
import type { HistoryEntry, RegistryView, Verdict } from '../registry/view.ts';
import { isTemplateName, parseUnitName, templateOf } from '../unit/unit-name.ts';
import { globOf, unitNameOf } from './local-file.ts';
import { noSuchUnit, selectUnits } from './select-units.ts';

/** An entry in the history of a unit. */
export type HistoryRow = HistoryEntry & {
  /** Whether it is the present text of the registry; false for a destroyed unit. */
  readonly current: boolean;
  /** The result of its last start; undefined for a text that was never started. */
  readonly verdict: Verdict | undefined;
};

/**
 * The texts of one unit, newest first. `mayBeReverted`: no start of the present one is stored, and a machine may have reverted
 * it (`Confirm=`).
 */
export type History = {
  readonly unit: string;
  readonly rows: readonly HistoryRow[];
  readonly mayBeReverted: boolean;
};

/** The history of a unit, also of a destroyed one. Throws FleetError `unit-not-found`. */
export async function history(registry: Registry, argument: string): Promise<History> {
  const found = await registry.read((view) => {
    const unit = isGlob(argument) ? onlyMatch(argument, view.whole) : unitNameOf(argument).text;
    const rows = historyRows(unit, view);
    const isUntried = rows[0]?.current === true && rows[0].verdict === undefined;
    const known = isUntried ? view.asWritten.units.get(unit) : undefined;
    return { unit, rows, mayBeReverted: known?.placement.confirmMs !== undefined };
  });
  if (found.rows.length > 0) return found;
  throw noSuchUnit(found.unit).error;
}

/** The history, with the reverts that machines report and that are not stored yet. */
export function withReverts(found: History, { newReverts = [] }: ClusterSnapshot): History {
  const isIts = (unit: string): boolean =>
    unit === found.unit || templateOf(parseUnitName(unit))?.text === found.unit;
  const rows = found.rows.map((row): HistoryRow => {
    const held = newReverts.find(({ unit, digest }) => digest === row.digest && isIts(unit))?.held;
    return held === undefined ? row : { ...row, verdict: { kind: 'failed', at: held.at } };
  });
  return { ...found, rows };
}

/** The one unit of the registry that a glob matches. */
function onlyMatch(glob: string, view: RegistryView): string {
  const { units, problems } = selectUnits([glob], view);
  const [only] = units;
  for (const { error } of problems) throw error;
  if (only !== undefined && units.length === 1) return only.name;
  const names = units.map(({ name }) => name).join(', ');
  throw new FleetError('usage', `"${glob}" matches several units: ${names}`, { hint: 'Name one of them' });
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
  const names = isTemplateName(unit) ? view.unitNames.filter(isInstance) : [unit];
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
    if (unconfirmed?.text === undefined) return selectUnits([argument], asWritten);
    return { units: [{ ...unconfirmed, text: unconfirmed.text }], problems: [] };
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
