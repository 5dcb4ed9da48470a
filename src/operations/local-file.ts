import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { causeText, FleetError } from '../base/errors.ts';
import { isGlob } from '../base/glob.ts';
import { readTrusted, UnusableFile } from '../base/trusted-file.ts';
import {
  foreignType,
  hasForeignSuffix,
  isTemplate,
  parseUnitName,
  templateOf,
  type UnitName,
} from '../unit/unit-name.ts';

/** One argument that names a unit, as a name or as a path, and what the disk has for it. */
export type LocalUnit = {
  readonly name: UnitName;
  /** The unit's own file, or the reason why it cannot be read; undefined when there is none. */
  readonly own: LocalFile | undefined;
  /** The file of its template, beside where its own would be. */
  readonly template: LocalFile | undefined;
  /** For a template: the names of all files in its folder, those that instances have for themselves among them. */
  readonly beside: ReadonlySet<string>;
};

export type LocalFile = { readonly path: string; readonly content: string | FleetError };

/** Reads the name out of `hello`, `hello.service` or `units/hello.service`. Throws FleetError `unit-name`. */
export function unitNameOf(argument: string): UnitName {
  return parseUnitName(lastPart(argument));
}

/** The glob that an argument is, without its folder; undefined for a name. */
export function globOf(argument: string): string | undefined {
  return !argument.endsWith('/') && isGlob(basename(argument)) ? basename(argument) : undefined;
}

/** A folder (`units/`) is neither a name nor a glob: it stays whole, and is refused as a name. */
function lastPart(argument: string): string {
  return argument.endsWith('/') ? argument : basename(argument);
}

/**
 * Looks on the disk for every argument; each unit comes once. Relative paths start at `cwd`. Only files are read. Throws for names
 * that are none, and for two arguments that name one unit and find different files for it.
 */
export async function readLocalUnits(
  arguments_: readonly string[],
  cwd: string,
): Promise<readonly LocalUnit[]> {
  const units = new Map<string, LocalUnit>();
  for (const unit of await Promise.all(arguments_.map((argument) => readLocalUnit(argument, cwd)))) {
    const first = units.get(unit.name.text);
    const [one, other] = [first?.own ?? first?.template, unit.own ?? unit.template];
    if (one !== undefined && other !== undefined && one.path !== other.path) throw namedTwice(one, other);
    if (first === undefined || one === undefined) units.set(unit.name.text, unit);
  }
  return [...units.values()];
}

async function readLocalUnit(argument: string, cwd: string): Promise<LocalUnit> {
  const name = unitNameOf(argument);
  const folder = resolve(cwd, dirname(argument));
  const template = templateOf(name);
  return {
    name,
    own: (await readLocalFile(join(folder, name.text))) ?? (await refuseNamed(argument, cwd)),
    template: template && (await readLocalFile(join(folder, template.text))),
    beside: new Set(isTemplate(name) ? await readdir(folder).catch(() => []) : []),
  };
}

async function readLocalFile(path: string): Promise<LocalFile | undefined> {
  try {
    return { path, content: decode(readTrusted(path), path) };
  } catch (error) {
    if (error instanceof UnusableFile)
      return { path, content: unreadable(path, error.why, error, error.hint) };
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return { path, content: unreadable(path, causeText(error), error) };
  }
}

/**
 * What exists under the very name that was given, and cannot be the unit: a folder `web` where there is no web.service,
 * or a file of another kind, such as `site.container`.
 */
async function refuseNamed(argument: string, cwd: string): Promise<LocalFile | undefined> {
  const path = resolve(cwd, argument);
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory() === true) return { path, content: unreadable(path, 'it is a folder', undefined) };
  if (stats === undefined || !hasForeignSuffix(basename(path))) return undefined;
  return { path, content: foreignType(basename(path)) };
}

function decode(bytes: Buffer, path: string): string | FleetError {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return unreadable(path, 'it is not UTF-8 text', cause);
  }
}

function unreadable(
  path: string,
  why: string,
  cause: unknown,
  hint = 'Name a unit file, such as hello.service',
): FleetError {
  return new FleetError('unit-file', `Cannot read unit file "${path}": ${why}`, {
    cause,
    hint,
  });
}

function namedTwice(one: LocalFile, other: LocalFile): FleetError {
  return new FleetError('usage', `Cannot tell which file is meant: "${one.path}" or "${other.path}"`, {
    hint: 'Name one of them',
  });
}
