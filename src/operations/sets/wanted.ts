import { FleetError, inQuotes, isFleetError } from '../../base/errors.ts';
import { compareText } from '../../base/text.ts';
import type { TargetState } from '../../cluster/unit-state.ts';
import { SET_NAME } from '../../registry/documents.ts';
import { quote } from '../../ssh/shell.ts';
import { type Placement, parsePlacement } from '../../unit/placement.ts';
import { parseUnitFile } from '../../unit/unit-file.ts';
import { isTemplate, parseUnitName, templateOf } from '../../unit/unit-name.ts';
import type { LocalUnit } from '../local-file.ts';
import type { UnitProblem } from '../unit-result.ts';
import type { FolderFile, UnitFolder } from './folder.ts';

/** A unit that a folder wants. */
export type WantedUnit = {
  readonly local: LocalUnit;
  /** The path of its file, or of that of its template. */
  readonly path: string;
  /** The value of `Target=`; undefined without one. */
  readonly target: TargetState | undefined;
};

/** The units that a folder wants, by name. */
export type WantedSet = {
  readonly name: string;
  /** The arguments of a command that name it, for hints: `--set web units`. */
  readonly folder: string;
  readonly units: ReadonlyMap<string, WantedUnit>;
  readonly skipped: readonly string[];
  /** Files that cannot be used; with any, nothing is applied. */
  readonly problems: readonly UnitProblem[];
};

/**
 * The units of a folder: one for each file, and the instances of `Instances=`. An instance whose file is a link to its
 * template has the text of the template, like one without a file. `set` is the name that the user gave. Throws FleetError
 * `usage` without a usable name. Equal files give equal sets, in any order.
 */
export function wantedSet(folder: UnitFolder, set: string | undefined): WantedSet {
  const problems: UnitProblem[] = [...folder.problems];
  const files = new Map<string, FolderFile>();
  for (const file of folder.files.toSorted((a, b) => compareText(a.file.path, b.file.path))) {
    const { text } = file.name;
    const first = files.get(text);
    if (first !== undefined) problems.push({ unit: text, error: duplicate(text, first, file) });
    else files.set(text, file);
  }
  const placements = new Map<string, Placement>();
  for (const [name, { file, name: unit }] of [...files]) {
    try {
      if (typeof file.content !== 'string') throw file.content;
      placements.set(name, parsePlacement(parseUnitFile(file.content, file.path), unit));
    } catch (error) {
      if (!isFleetError(error)) throw error;
      problems.push({ unit: name, error });
      files.delete(name);
    }
  }
  const units = new Map<string, WantedUnit>();
  const names = new Set([...files.keys(), ...instancesOf(files, placements)]);
  for (const name of [...names].toSorted(compareText)) {
    const unit = wantedUnit(name, files);
    const target = (placements.get(name) ?? placements.get(templateNameOf(name) ?? ''))?.target;
    if (unit !== undefined) units.set(name, { ...unit, target });
  }
  const name = setName(folder, set);
  const words = [...(set === undefined ? [] : ['--set', set]), ...folder.paths];
  return { name, folder: words.map(quote).join(' '), units, skipped: folder.skipped, problems };
}

function instancesOf(
  files: ReadonlyMap<string, FolderFile>,
  placements: ReadonlyMap<string, Placement>,
): readonly string[] {
  return [...files.values()].flatMap(({ name }) =>
    isTemplate(name)
      ? (placements.get(name.text)?.instances ?? []).map((each) => `${name.prefix}@${each}.${name.type}`)
      : [],
  );
}

function wantedUnit(
  name: string,
  files: ReadonlyMap<string, FolderFile>,
): Pick<WantedUnit, 'local' | 'path'> | undefined {
  const unit = parseUnitName(name);
  const template = files.get(templateNameOf(name) ?? '');
  const file = files.get(name);
  const isLink = file?.isLink === true && file.real === template?.real;
  const own = isLink ? undefined : file;
  const path = (own ?? template)?.file.path;
  if (path === undefined) return undefined;
  const beside = new Set(isTemplate(unit) ? files.keys() : []);
  return { path, local: { name: unit, own: own?.file, template: template?.file, beside } };
}

/** The name of an instance's template; undefined for any other unit. */
export function templateNameOf(name: string): string | undefined {
  return templateOf(parseUnitName(name))?.text;
}

function setName({ name }: UnitFolder, given: string | undefined): string {
  const set = given ?? name;
  const hint = 'Name the set: --set NAME';
  if (set === undefined)
    throw new FleetError('usage', 'Several paths, or a file, have no common folder to name their set', {
      hint,
    });
  if (SET_NAME.test(set)) return set;
  const what = 'it has letters, digits, "_", "-" and ".", and up to 63 of them';
  throw new FleetError('usage', `Cannot use ${inQuotes(set)} as the name of a set: ${what}`, { hint });
}

function duplicate(unit: string, one: FolderFile, other: FolderFile): FleetError {
  const paths = `${inQuotes(one.file.path)} and ${inQuotes(other.file.path)}`;
  return new FleetError('unit-file', `Two files for unit "${unit}": ${paths}`, {
    hint: 'Remove one of them',
  });
}
