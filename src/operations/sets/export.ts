import { readdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { causeText, FleetError, inQuotes, remedyOf } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { compareText } from '../../base/text.ts';
import type { DesiredUnit } from '../../cluster/snapshot.ts';
import type { TargetState } from '../../cluster/unit-state.ts';
import type { Registry } from '../../registry/registry.ts';
import { differOnlyInFolderOptions } from '../../unit/folder-options.ts';
import { isTemplateName, parseUnitName } from '../../unit/unit-name.ts';
import { hasInstall } from '../set-target-state.ts';
import type { UnitProblem } from '../unit-result.ts';
import { templateNameOf } from './wanted.ts';

export type ExportRequest = {
  readonly folder: string;
  readonly cwd: string;
  readonly set: string | undefined;
};

export type ExportResult = {
  /** The number of files and links. */
  readonly written: number;
  /** The sets of the units, sorted. */
  readonly sets: readonly string[];
  readonly problems: readonly UnitProblem[];
};

/**
 * Writes the units of the registry, or of one set, into an empty folder, which is created. Throws FleetError `usage` for
 * a folder with files and for a set without units, and `local` if it cannot be written.
 */
export async function exportUnits(registry: Registry, request: ExportRequest): Promise<ExportResult> {
  const { folder, cwd, set } = request;
  const view = await registry.load();
  const units = [...view.units.values()].filter((unit) => set === undefined || unit.set === set);
  if (set !== undefined && units.length === 0)
    throw new FleetError('usage', `No unit belongs to set "${set}"`, {
      hint: 'Sets of units: fleetctl list-unit-files --fields unit,set',
    });
  const path = resolve(cwd, folder);
  const { files, problems } = exportedFiles(units);
  try {
    makeFolders(path);
    if ((await readdir(path)).length > 0)
      throw new FleetError('usage', `Cannot export to ${inQuotes(folder)}: the folder is not empty`, {
        hint: 'Name a new folder',
      });
    for (const file of files)
      await (file.kind === 'link'
        ? symlink(file.to, join(path, file.name))
        : writeFile(join(path, file.name), file.text, { flag: 'wx', mode: 0o644 }));
  } catch (error) {
    if (error instanceof FleetError) throw error;
    throw new FleetError('local', `Cannot write to ${inQuotes(folder)}: ${causeText(error)}`, {
      hint: remedyOf(error),
      cause: error,
    });
  }
  const unreadable = [...view.unreadable].map(([unit, error]) => ({ unit, error }));
  const sets = new Set(units.flatMap((unit) => unit.set ?? []));
  return {
    written: files.length,
    sets: [...sets].toSorted(compareText),
    problems: [...problems, ...unreadable],
  };
}

/** A file of an exported folder: a unit file, or the link of an instance to its template. */
export type ExportedFile =
  | { readonly kind: 'text'; readonly name: string; readonly text: string }
  | { readonly kind: 'link'; readonly name: string; readonly to: string };

export type Exported = { readonly files: readonly ExportedFile[]; readonly problems: readonly UnitProblem[] };

/**
 * The files of a folder that wants exactly these units. Their texts are those of the registry; `Target=` is added where the
 * folder would otherwise give another target state. An instance with the text of its template is a link, unless the
 * template's `Instances=` names it.
 */
export function exportedFiles(units: readonly DesiredUnit[]): Exported {
  const byName = new Map(units.map((unit) => [unit.name, unit]));
  const problems: UnitProblem[] = [];
  const files = units.flatMap((unit): readonly ExportedFile[] => {
    const { name, text } = unit;
    if (isTemplateName(name))
      return [
        { kind: 'text', name, text: hasAllInstances(unit, byName) ? text : withOption(text, 'Instances=') },
      ];
    const template = templateWithText(unit, byName);
    const isRight = targetIn(unit, units) === unit.target;
    if (isRight && template !== undefined) {
      const isNamed = hasAllInstances(template, byName) && instancesOf(template).includes(name);
      return isNamed ? [] : [{ kind: 'link', name, to: template.name }];
    }
    const own = isRight ? text : withOption(text, `Target=${unit.target}`);
    if (own !== text && !differOnlyInFolderOptions(own, text)) problems.push(notExportable(unit));
    return [{ kind: 'text', name, text: own }];
  });
  return { files, problems };
}

/** The target state that the folder gives a unit by its present text. */
function targetIn(unit: DesiredUnit, units: readonly DesiredUnit[]): TargetState {
  const triggers = units.filter(({ triggers }) => triggers === unit.name);
  const target = unit.placement.target ?? (triggers.length > 0 && !hasInstall(unit) ? 'loaded' : 'launched');
  const isNeeded = triggers.some((trigger) => trigger.target !== 'inactive');
  return target === 'inactive' && isNeeded ? 'loaded' : target;
}

/** The template of an instance, if both have the same text. */
function templateWithText(
  { name, digest }: DesiredUnit,
  units: ReadonlyMap<string, DesiredUnit>,
): DesiredUnit | undefined {
  const template = units.get(templateNameOf(name) ?? '');
  return template?.digest === digest ? template : undefined;
}

/** Whether all instances that a template names exist. */
function hasAllInstances(template: DesiredUnit, units: ReadonlyMap<string, DesiredUnit>): boolean {
  return instancesOf(template).every((name) => units.has(name));
}

function instancesOf({ name, placement }: DesiredUnit): readonly string[] {
  const { prefix, type } = parseUnitName(name);
  return placement.instances.map((instance) => `${prefix}@${instance}.${type}`);
}

function withOption(text: string, option: string): string {
  return `${text}${text.endsWith('\n') ? '' : '\n'}\n[X-Fleet]\n${option}\n`;
}

function notExportable({ name, target }: DesiredUnit): UnitProblem {
  const message = `Cannot export unit "${name}": Target=${target} cannot be added to its text`;
  return {
    unit: name,
    error: new FleetError('unit-file', message, { hint: 'Its text ends with a continued line' }),
  };
}
