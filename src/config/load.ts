import { isUtf8 } from 'node:buffer';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { configError, excerpt, inQuotes } from '../base/errors.ts';
import { checkTrusted, readTrusted, UnusableFile } from '../base/trusted-file.ts';
import { type Config, type ConfigRequest, MINIMAL_FILE, SYSTEM_FILE } from './config.ts';
import { expandPath, expectedPath } from './places.ts';

/**
 * Finds, reads and checks the configuration. Throws FleetError `config` with the file, line, section, key, value and
 * expected format, or with the flag or variable.
 */
export async function loadConfig(request: ConfigRequest): Promise<Config> {
  const file = findConfig(request);
  // Only commands that need a configuration load ini and the parsers.
  const [{ parseSections }, { readConfig }] = await Promise.all([import('./parse.ts'), import('./read.ts')]);
  return readConfig(file.path, parseSections(file.path, file.text), request);
}

/** The absolute path of a configuration, and its text without a byte order mark. */
export type ConfigFile = { readonly path: string; readonly text: string };

/**
 * Finds and reads the configuration: `--config`, `$FLEETCTL_CONFIG`, then the usual places. Only a missing file is
 * skipped: one that cannot be read may list other machines.
 * Throws `config` if there is none, or if it cannot be read as UTF-8 text.
 */
export function findConfig(request: ConfigRequest): ConfigFile {
  const places = candidates(request);
  for (const place of places) {
    const text = readText(place);
    if (text !== undefined) return { path: place.path, text };
    if (place.by !== undefined) throw cannotRead(place, 'no such file');
  }
  throw configError(
    `no configuration found, looked for ${places.map(({ path }) => inQuotes(path)).join(', ')}`,
    `Name a file with --config or FLEETCTL_CONFIG, or write a fleet.conf such as:\n${MINIMAL_FILE}`,
  );
}

/** The file to create if there is no configuration: the first candidate. Undefined if there is one. */
export function newConfigPath(request: ConfigRequest): string | undefined {
  const places = candidates(request);
  return places.some((place) => readText(place) !== undefined) ? undefined : places[0]?.path;
}

/** A file to try. `by` is the flag or variable that named it, `isHere` marks the one in the current folder. */
type ConfigCandidate = { readonly path: string; readonly by: string | undefined; readonly isHere: boolean };

/** The file that was named, or the usual ones. */
function candidates(request: ConfigRequest): readonly ConfigCandidate[] {
  const named = namedFile(request);
  return named === undefined ? usualPlaces(request) : [named];
}

/** The file that a flag or variable names. An empty variable counts as unset, an empty flag is an error. */
function namedFile({ flags: { config: flag }, env, cwd, home }: ConfigRequest): ConfigCandidate | undefined {
  const by = flag === undefined ? 'environment variable "FLEETCTL_CONFIG"' : 'option "--config"';
  const text = flag ?? (env.FLEETCTL_CONFIG || undefined);
  if (text === undefined) return undefined;
  const path = expandPath(text, { directory: cwd, home });
  if (path === undefined) throw configError(`${by} must be ${expectedPath(text)}: ${excerpt(text)}`);
  return { path, by, isHere: false };
}

/** The XDG base directory specification demands that relative paths are ignored. */
function usualPlaces({ env, cwd, home }: ConfigRequest): readonly ConfigCandidate[] {
  const xdg = env.XDG_CONFIG_HOME ?? '';
  const configHome = isAbsolute(xdg) ? xdg : join(home, '.config');
  const paths = [resolve(cwd, 'fleet.conf'), resolve(cwd, configHome, 'fleet/fleet.conf'), SYSTEM_FILE];
  return [...new Set(paths)].map((path, index) => ({ path, by: undefined, isHere: index === 0 }));
}

/** The text of a file; undefined if it does not exist. */
function readText(place: ConfigCandidate): string | undefined {
  const bytes = readBytes(place);
  if (bytes === undefined) return undefined;
  if (!isUtf8(bytes)) throw cannotRead(place, 'it is not UTF-8 text', undefined, CONVERT);
  return new TextDecoder().decode(bytes);
}

const CONVERT = 'Convert it, for example: iconv -f ISO-8859-1 -t UTF-8 FILE >NEW';

function readBytes(place: ConfigCandidate): Buffer | undefined {
  try {
    const bytes = readTrusted(place.path);
    // A file of the current folder is used without being named, so the folder is checked as well.
    if (place.isHere) checkTrusted(dirname(place.path), 'shared');
    return bytes;
  } catch (error) {
    if (error instanceof UnusableFile) throw cannotRead(place, error.why, error, error.hint);
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw cannotRead(place, whyUnreadable(code, error), error);
  }
}

function whyUnreadable(code: unknown, error: unknown): string {
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}

function cannotRead({ path, by }: ConfigCandidate, why: string, cause?: unknown, hint?: string): Error {
  return configError(
    `cannot read the configuration ${inQuotes(path)}: ${why}`,
    hint ?? (by && `It was named by ${by}`),
    cause,
  );
}
