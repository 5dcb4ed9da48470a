import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { causeText, FleetError, inQuotes } from '../../base/errors.ts';
import { compareText } from '../../base/text.ts';
import { isUnitSuffix, parseUnitName, type UnitName, unitNameProblem } from '../../unit/unit-name.ts';
import { type LocalFile, readUnitText } from '../local-file.ts';
import type { UnitProblem } from '../unit-result.ts';

/** A unit file of a folder. */
export type FolderFile = {
  readonly name: UnitName;
  /** Its path is relative to the working folder. */
  readonly file: LocalFile;
  /** Its real path, absolute, and whether the file is a link. */
  readonly real: string;
  readonly isLink: boolean;
};

/** The unit files below some paths. */
export type UnitFolder = {
  /** The name of the folder; undefined for several paths, and for a file. */
  readonly name: string | undefined;
  readonly files: readonly FolderFile[];
  /** Files that are not unit files, and folders without any; relative to the working folder. */
  readonly skipped: readonly string[];
  readonly problems: readonly UnitProblem[];
};

/** Files beside unit files that are not worth a message. */
const SILENT = /^(?:\.|(?:README|LICEN[CS]E|COPYING|CHANGELOG|Makefile|justfile|fleet\.conf)(?:\.\w+)?$)/i;

/**
 * Reads all unit files below `paths` (the working folder by default), sorted by path. Links to files are followed, links
 * to folders are not. Throws FleetError `usage` for a path that cannot be read.
 */
export async function readUnitFolder(paths: readonly string[], cwd: string): Promise<UnitFolder> {
  const roots = paths.length === 0 ? ['.'] : paths;
  const parts = await Promise.all(
    roots.map(async (path) => ({ path, ...(await readPath(resolve(cwd, path), cwd)) })),
  );
  const [only] = parts;
  return {
    name:
      only !== undefined && parts.length === 1 && only.isFolder
        ? basename(resolve(cwd, only.path))
        : undefined,
    files: parts.flatMap(({ files }) => files),
    skipped: parts.flatMap(({ skipped }) => skipped),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

type Part = Omit<UnitFolder, 'name'>;

const NOTHING: Part = { files: [], skipped: [], problems: [] };

async function readPath(path: string, cwd: string): Promise<Part & { readonly isFolder: boolean }> {
  const stats = await stat(path).catch((cause) => {
    throw new FleetError('usage', `Cannot read ${inQuotes(relative(cwd, path))}: ${causeText(cause)}`, {
      hint: 'Name a folder with unit files, or a unit file',
      cause,
    });
  });
  if (stats.isDirectory()) return { ...(await readFolder(path, cwd)), isFolder: true };
  return { ...(await readUnit(path, cwd)), isFolder: false };
}

async function readFolder(folder: string, cwd: string): Promise<Part> {
  const entries = await readdir(folder, { withFileTypes: true });
  const parts = await Promise.all(
    entries
      .filter(({ name }) => !SILENT.test(name))
      .toSorted((a, b) => compareText(a.name, b.name))
      .map(async (entry): Promise<Part> => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) {
          const part = await readFolder(path, cwd);
          return part.files.length + part.problems.length > 0 ? part : skip(`${path}/`, cwd);
        }
        return readUnit(path, cwd);
      }),
  );
  return {
    files: parts.flatMap(({ files }) => files),
    skipped: parts.flatMap(({ skipped }) => skipped),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

async function readUnit(path: string, cwd: string): Promise<Part> {
  const name = basename(path);
  if (!isUnitSuffix(name)) return skip(path, cwd);
  const shown = relative(cwd, path);
  if (unitNameProblem(name) !== undefined) {
    const message = `Cannot use file ${inQuotes(shown)}: ${unitNameProblem(name)}`;
    return { ...NOTHING, problems: [{ unit: name, error: new FleetError('unit-name', message) }] };
  }
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory() === true) return skip(path, cwd);
  const [real, { isLink }] = await Promise.all([
    realpath(path).catch(() => path),
    lstat(path).then((link) => ({ isLink: link.isSymbolicLink() })),
  ]);
  const file = { path: shown, content: readUnitText(path) ?? brokenLink(shown) };
  return { ...NOTHING, files: [{ name: parseUnitName(name), file, real, isLink }] };
}

function brokenLink(path: string): FleetError {
  return new FleetError(
    'unit-file',
    `Cannot read unit file ${inQuotes(path)}: it is a link to a missing file`,
  );
}

function skip(path: string, cwd: string): Part {
  const shown = relative(cwd, path);
  return { ...NOTHING, skipped: [path.endsWith('/') ? `${shown}/` : shown] };
}
