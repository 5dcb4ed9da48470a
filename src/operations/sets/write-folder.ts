import { readdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { causeText, FleetError, inQuotes, remedyOf } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { compareText } from '../../base/text.ts';
import type { Registry } from '../../registry/registry.ts';
import type { UnitProblem } from '../unit-result.ts';
import { exportedFiles } from './export.ts';

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
