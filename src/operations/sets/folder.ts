import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { causeText, FleetError, inQuotes } from '../../base/errors.ts';
import { compareText } from '../../base/text.ts';
import { hasUnitSuffix, parseUnitName, type UnitName, unitNameProblem } from '../../unit/unit-name.ts';
import { type LocalFile, readUnitText } from '../local-file.ts';
import type { UnitProblem } from '../unit-result.ts';

/** A unit file of a folder. */
export type FolderFile = {
  readonly name: UnitName;
  /** Its path begins as the user gave it. */
  readonly file: LocalFile;
  /** Its real path, absolute, and whether the file is a link. */
  readonly real: string;
  readonly isLink: boolean;
};

/** The unit files below some paths. */
export type UnitFolder = {
  /** As the user gave them. */
  readonly paths: readonly string[];
  /** The name of the folder; undefined for several paths, and for a file. */
  readonly name: string | undefined;
  readonly files: readonly FolderFile[];
  /** The paths of files that are not unit files, and of folders without any. */
  readonly skipped: readonly string[];
  readonly problems: readonly UnitProblem[];
};

/** Files beside unit files that are not worth a message. */
const SKIPPED = /^(?:\.|(?:README|LICEN[CS]E|COPYING|CHANGELOG|Makefile|justfile|fleet\.conf)(?:\.\w+)?$)/i;

/**
 * Reads all unit files below `paths` (the working folder by default), sorted by path. Links to files are followed, links
 * to folders are not. Throws FleetError `usage` for a path that does not exist.
 */
export async function readUnitFolder(paths: readonly string[], cwd: string): Promise<UnitFolder> {
  const roots = paths.length === 0 ? ['.'] : paths;
  const parts = await Promise.all(roots.map((path) => readPath(path, cwd)));
  const isFolder = parts.length === 1 && parts.every((part) => part.isFolder);
  return {
    paths: roots,
    name: isFolder ? basename(resolve(cwd, ...roots)) : undefined,
    ...joined(parts),
  };
}

type Part = Omit<UnitFolder, 'name' | 'paths'>;

const NOTHING: Part = { files: [], skipped: [], problems: [] };

function joined(parts: readonly Part[]): Part {
  return {
    files: parts.flatMap(({ files }) => files),
    skipped: parts.flatMap(({ skipped }) => skipped),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

/** `path` is as the user gave it, like all paths below. */
async function readPath(path: string, cwd: string): Promise<Part & { readonly isFolder: boolean }> {
  const stats = await stat(resolve(cwd, path)).catch((cause) => {
    throw new FleetError('usage', `Cannot read ${inQuotes(path)}: ${causeText(cause)}`, {
      hint: 'Name a folder with unit files, or a unit file',
      cause,
    });
  });
  if (stats.isDirectory()) return { ...(await readFolder(path, cwd)), isFolder: true };
  return { ...(await readUnit(path, cwd)), isFolder: false };
}

/** A folder that cannot be read is a problem, because its units would count as removed. */
async function readFolder(folder: string, cwd: string): Promise<Part> {
  const entries = await readdir(resolve(cwd, folder), { withFileTypes: true }).catch((cause) => {
    return new FleetError('unit-file', `Cannot read folder ${inQuotes(folder)}: ${causeText(cause)}`, {
      cause,
    });
  });
  if (entries instanceof FleetError) return { ...NOTHING, problems: [{ unit: folder, error: entries }] };
  const real = await realpath(resolve(cwd, folder)).catch(() => resolve(cwd, folder));
  const parts = await Promise.all(
    entries
      .filter(({ name }) => !SKIPPED.test(name))
      .toSorted((a, b) => compareText(a.name, b.name))
      .map(async (entry): Promise<Part> => {
        const path = join(folder, entry.name);
        if (entry.isFile()) return readUnit(path, cwd, join(real, entry.name));
        if (!entry.isDirectory()) return readUnit(path, cwd);
        const part = await readFolder(path, cwd);
        return part.files.length + part.problems.length > 0 ? part : skip(`${path}/`);
      }),
  );
  return joined(parts);
}

/** `regular` is the real path of a file that is known to be a regular one. */
async function readUnit(shown: string, cwd: string, regular?: string): Promise<Part> {
  const name = basename(shown);
  const path = resolve(cwd, shown);
  if (!hasUnitSuffix(name)) return skip(shown);
  if (unitNameProblem(name) !== undefined) {
    const message = `Cannot use file ${inQuotes(shown)}: ${unitNameProblem(name)}`;
    return { ...NOTHING, problems: [{ unit: name, error: new FleetError('unit-name', message) }] };
  }
  const stats = regular === undefined ? await stat(path).catch(() => undefined) : undefined;
  if (stats?.isDirectory() === true) return skip(shown);
  const real = regular ?? (await realpath(path).catch(() => path));
  const isLink =
    regular === undefined && (await lstat(path).catch(() => undefined))?.isSymbolicLink() === true;
  const content =
    readUnitText(path, shown, 'Correct the file, or remove it from the folder') ?? missing(shown, isLink);
  return { ...NOTHING, files: [{ name: parseUnitName(name), file: { path: shown, content }, real, isLink }] };
}

function missing(path: string, isLink: boolean): FleetError {
  const why = isLink ? 'it is a link to a missing file' : 'it was removed meanwhile';
  return new FleetError('unit-file', `Cannot read unit file ${inQuotes(path)}: ${why}`);
}

function skip(path: string): Part {
  return { ...NOTHING, skipped: [path] };
}
