import { isUtf8 } from 'node:buffer';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { causeText, FleetError } from '../base/errors.ts';
import { globMatcher, isGlob } from '../base/glob.ts';
import { readTrusted, UnusableFile } from '../base/trusted-file.ts';
import {
  foreignType,
  hasForeignSuffix,
  isTemplate,
  parseUnitName,
  templateOf,
  type UnitName,
} from '../unit/unit-name.ts';

/** An argument that names a unit, as a name or as a path, with its local files. */
export type LocalUnit = {
  readonly name: UnitName;
  /** The unit's file, or the error of reading it; undefined if there is none. */
  readonly own: LocalFile | undefined;
  /** The file of its template, in the same folder. */
  readonly template: LocalFile | undefined;
  /** For a template: the names of all files in its folder, such as separate files of instances. */
  readonly beside: ReadonlySet<string>;
};

export type LocalFile = { readonly path: string; readonly content: string | FleetError };

/** The unit name in `hello`, `hello.service` or `units/hello.service`. Throws FleetError `unit-name`. */
export function unitNameOf(argument: string): UnitName {
  return parseUnitName(lastPart(argument));
}

/** The glob in an argument, without its folder; undefined for a name. */
export function globOf(argument: string): string | undefined {
  return !argument.endsWith('/') && isGlob(basename(argument)) ? basename(argument) : undefined;
}

/** The unit name in an argument; undefined for a glob. Throws FleetError `unit-name`. */
export function namedUnitOf(argument: string): UnitName | undefined {
  return globOf(argument) === undefined ? unitNameOf(argument) : undefined;
}

/** Whether an argument names a unit; a glob `web@*` also matches `web@*.service`. Throws FleetError `unit-name`. */
export function unitMatcher(argument: string): (unit: string) => boolean {
  const named = namedUnitOf(argument);
  if (named !== undefined) return (unit) => unit === named.text;
  const [exact, service] = [globMatcher(basename(argument)), globMatcher(`${basename(argument)}.service`)];
  return (unit) => exact(unit) || service(unit);
}

/** The last part of a path. A folder (`units/`) is returned whole, so that it is rejected as a unit name. */
function lastPart(argument: string): string {
  return argument.endsWith('/') ? argument : basename(argument);
}

/**
 * Reads the local files of all arguments; each unit is returned once. Relative paths are relative to `cwd`. Throws for
 * invalid names, and for two arguments that name the same unit but different files.
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
  const content = readUnitText(path);
  return content === undefined ? undefined : { path, content };
}

/** The text of a unit file; undefined if there is none; or the error of reading it, with the path `shown` and `hint`. */
export function readUnitText(path: string, shown = path, hint = NAME_ONE): string | FleetError | undefined {
  try {
    const bytes = readTrusted(path);
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    return isUtf8(bytes) ? text : unreadable(shown, 'it is not UTF-8 text', undefined, CONVERT, lineOf(text));
  } catch (error) {
    if (error instanceof UnusableFile) return unreadable(shown, error.why, error, error.hint ?? hint);
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return unreadable(shown, causeText(error), error, hint);
  }
}

/** The line of the first byte that the decoder could not read. */
function lineOf(text: string): string {
  return `, line ${text.slice(0, text.indexOf('\ufffd')).split('\n').length}`;
}

const NAME_ONE = 'Name a unit file, such as hello.service';
const CONVERT = 'Convert it, for example: iconv -f ISO-8859-1 -t UTF-8 FILE >NEW';

/**
 * The error for a path that exists but cannot be the unit: a folder `web` without a file web.service, or a file of another
 * type, such as `site.container`.
 */
async function refuseNamed(argument: string, cwd: string): Promise<LocalFile | undefined> {
  const path = resolve(cwd, argument);
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory() === true) return { path, content: unreadable(path, 'it is a folder', undefined) };
  if (stats === undefined || !hasForeignSuffix(basename(path))) return undefined;
  return { path, content: foreignType(basename(path)) };
}

function unreadable(path: string, why: string, cause: unknown, hint = NAME_ONE, line = ''): FleetError {
  return new FleetError('unit-file', `Cannot read unit file "${path}"${line}: ${why}`, {
    cause,
    hint,
  });
}

function namedTwice(one: LocalFile, other: LocalFile): FleetError {
  return new FleetError('usage', `Two files for the same unit: "${one.path}" and "${other.path}"`, {
    hint: 'Name one of them',
  });
}
