import { isUtf8 } from 'node:buffer';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { checkTrusted, readTrusted, UnusableFile } from '../base/trusted-file.ts';
import { expandPath, expectedPath } from './path.ts';
import { excerpt, problem, quote } from './problem.ts';

/** The configuration of everybody who works on this machine. */
export const SYSTEM_FILE = '/etc/fleet/fleet.conf';

/** The shortest useful configuration, for hints. */
export const MINIMAL_FILE = '[machine.web-1]\naddress = 10.10.1.1';

/** Where a configuration is looked for. `flag` is what `--config` says, if it was given. */
export type Search = {
  readonly flag: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
};

/** A configuration that was found: its absolute path and its text without a byte order mark. */
export type ConfigFile = { readonly path: string; readonly text: string };

/**
 * Finds and reads the configuration: `--config`, `$FLEETCTL_CONFIG`, then the usual places. Of those, only a file
 * that is not there is passed over: one that cannot be read might have named other machines.
 * Throws `config` when there is none, or when it cannot be read as UTF-8 text.
 */
export async function findConfig(search: Search): Promise<ConfigFile> {
  const named = namedFile(search);
  const places = named === undefined ? usualPlaces(search) : [named];
  for (const place of places) {
    const text = readText(place);
    if (text !== undefined) return { path: place.path, text };
  }
  if (named !== undefined) throw cannotRead(named, 'no such file');
  throw problem(
    `no configuration found, looked for ${places.map(({ path }) => quote(path)).join(', ')}`,
    `Name a file with --config or FLEETCTL_CONFIG, or write a fleet.conf such as:\n${MINIMAL_FILE}`,
  );
}

/** The file that an operator who has none begins: the one looked for first. Undefined when there is one somewhere. */
export async function newConfigPath(search: Search): Promise<string | undefined> {
  const named = namedFile(search);
  const places = named === undefined ? usualPlaces(search) : [named];
  for (const place of places) if (readText(place) !== undefined) return undefined;
  return places[0]?.path;
}

/** A file to try; `by` says who named it. `isHere` is for the one that was found in the current folder. */
type Place = { readonly path: string; readonly by: string | undefined; readonly isHere: boolean };

/** The file that was asked for. An empty variable counts as unset, an empty flag is a mistake. */
function namedFile({ flag, env, cwd, home }: Search): Place | undefined {
  const by = flag === undefined ? 'environment variable "FLEETCTL_CONFIG"' : 'flag "--config"';
  const text = flag ?? (env.FLEETCTL_CONFIG || undefined);
  if (text === undefined) return undefined;
  const path = expandPath(text, { directory: cwd, home });
  if (path === undefined) throw problem(`${by} must be ${expectedPath(text)}: ${excerpt(text)}`);
  return { path, by, isHere: false };
}

/** The XDG base directory specification has relative paths ignored. */
function usualPlaces({ env, cwd, home }: Search): readonly Place[] {
  const xdg = env.XDG_CONFIG_HOME ?? '';
  const configHome = isAbsolute(xdg) ? xdg : join(home, '.config');
  const paths = [resolve(cwd, 'fleet.conf'), resolve(cwd, configHome, 'fleet/fleet.conf'), SYSTEM_FILE];
  return [...new Set(paths)].map((path, index) => ({ path, by: undefined, isHere: index === 0 }));
}

/** The text of a file, undefined when there is none. */
function readText(place: Place): string | undefined {
  const bytes = readBytes(place);
  if (bytes === undefined) return undefined;
  if (!isUtf8(bytes)) throw cannotRead(place, 'it is not UTF-8 text');
  return new TextDecoder().decode(bytes);
}

function readBytes(place: Place): Buffer | undefined {
  try {
    const bytes = readTrusted(place.path);
    // What is in the current folder is used without a word, so its place counts as well.
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

function cannotRead({ path, by }: Place, why: string, cause?: unknown, hint?: string): Error {
  return problem(
    `cannot read the configuration ${quote(path)}: ${why}`,
    hint ?? (by && `It was named by ${by}`),
    cause,
  );
}
