import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';

/** The unit types that fleet runs: those that have unit files (not device or scope). */
export const UNIT_TYPES = [
  'service',
  'socket',
  'timer',
  'path',
  'mount',
  'automount',
  'swap',
  'target',
  'slice',
] as const;

export type UnitType = (typeof UNIT_TYPES)[number];

/** A checked unit name. `text` is the whole name: `web@1.service`. */
export type UnitName = {
  readonly text: string;
  readonly type: UnitType;
  /** The part before the `@` or the suffix: `web`. Specifier `%p`. */
  readonly prefix: string;
  /** The part between `@` and the suffix; empty for a template, undefined for a plain unit. Specifier `%i`. */
  readonly instance: string | undefined;
};

/** systemd's UNIT_NAME_MAX without the terminating NUL, in characters (all of them ASCII). */
const MAX_LENGTH = 255;

/**
 * Reads the name of a unit by systemd.unit(5): `web@1` → web@1.service. Without a known suffix it is a service, as in
 * CoreOS fleet: `foo.bogus` → foo.bogus.service. A path is an error.
 * @throws FleetError `unit-name`
 */
export function parseUnitName(text: string): UnitName {
  const problem = unitNameProblem(text);
  if (problem !== undefined) {
    throw new FleetError('unit-name', `Cannot use ${quoted(text)} as a unit name: ${problem}`, {
      hint: hintFor(text),
    });
  }
  return partsOf(withSuffix(text));
}

/** A name that was checked before, with its suffix. */
export function partsOf(full: string): UnitName {
  const dot = full.lastIndexOf('.');
  const type = full.slice(dot + 1) as UnitType;
  // systemd splits at the first "@"; an instance may contain more of them.
  const at = full.indexOf('@');
  if (at === -1) return { text: full, type, prefix: full.slice(0, dot), instance: undefined };
  return { text: full, type, prefix: full.slice(0, at), instance: full.slice(at + 1, dot) };
}

/** {@link unitNameProblem} of a name that must have its suffix, such as a stored name. */
export function storedNameProblem(text: string): string | undefined {
  return unitNameProblem(text) ?? (withSuffix(text) === text ? undefined : 'it has no unit suffix');
}

/** Most names, with a suffix; one test is enough for them. */
const ORDINARY = new RegExp(`^[A-Za-z0-9:_\\\\-][A-Za-z0-9:_.\\\\@-]*\\.(${UNIT_TYPES.join('|')})$`);

/** Why `text` cannot be the name of a unit, as the end of a sentence, or undefined when it can. */
export function unitNameProblem(text: string): string | undefined {
  if (ORDINARY.test(text) && text.length <= MAX_LENGTH && !isReserved(text)) return undefined;
  if (text === '') return 'it is empty';
  const full = withSuffix(text);
  if (full.length > MAX_LENGTH)
    return `it has ${full.length} characters, and the limit of systemd is ${MAX_LENGTH}`;
  if (isReserved(full)) return 'the name is reserved for a unit of fleet';
  const bad = /[^A-Za-z0-9:_.\\@-]/u.exec(text);
  if (bad !== null) return `it must not contain ${quoted(bad[0])}`;
  if (text.startsWith('@')) return 'it must not start with "@"';
  if (full.lastIndexOf('.') === 0) return 'the part before the suffix is empty';
  // A leading dot hides a file, and its record on a machine.
  if (text.startsWith('.')) return 'it must not start with "."';
  const made = /\.(device|scope)$/.exec(text);
  if (made !== null) return `systemd creates ${made[1]} units itself, without a unit file`;
  return undefined;
}

/** Whether the name is one of a unit that fleet itself installs on machines. */
export function isReserved(name: string): boolean {
  return name === 'fleet.target' || name.startsWith('fleet-lease.');
}

/** True for `hello@.service`: a unit file for instances, which never runs itself. */
export function isTemplate(name: UnitName): boolean {
  return name.instance === '';
}

/** {@link isTemplate} for a name that was checked before, with its suffix. */
export function isTemplateName(name: string): boolean {
  return name.indexOf('@') + 1 === name.lastIndexOf('.');
}

/** The template of an instance, hello@1.service → hello@.service; undefined for any other unit. */
export function templateOf(name: UnitName): UnitName | undefined {
  if (name.instance === undefined || isTemplate(name)) return undefined;
  return { ...name, text: `${name.prefix}@.${name.type}`, instance: '' };
}

function withSuffix(text: string): string {
  const suffix = text.slice(text.lastIndexOf('.') + 1);
  return text.includes('.') && SUFFIXES.has(suffix) ? text : `${text}.service`;
}

/** Those of systemd, also of units without unit files. */
const SUFFIXES: ReadonlySet<string> = new Set([...UNIT_TYPES, 'device', 'scope']);

function hintFor(text: string): string {
  if (isReserved(withSuffix(text))) return 'Rename the unit';
  return text.includes('/')
    ? 'Give only the name, without a folder; systemd-escape --path converts a path to a name'
    : 'A unit name consists of letters, digits and : - _ . \\ @, as in web@1.service';
}

/** Suffixes of the files from which Quadlet generates services (podman-systemd.unit(5)). */
const QUADLET = ['container', 'pod', 'volume', 'network', 'kube', 'image', 'build', 'artifact'];

/** True for a file name whose suffix is not one of fleet's unit types: `site.container`. */
export function hasForeignSuffix(name: string): boolean {
  const suffix = suffixOf(name);
  return suffix !== '' && !(UNIT_TYPES as readonly string[]).includes(suffix);
}

/** True for a file name with the suffix of one of fleet's unit types. */
export function hasUnitSuffix(name: string): boolean {
  return (UNIT_TYPES as readonly string[]).includes(suffixOf(name));
}

/** A FleetError `unit-name` for a file with such a name, with the valid types. */
export function foreignType(name: string): FleetError {
  const types = `${UNIT_TYPES.slice(0, -1).join(', ')} and ${UNIT_TYPES.at(-1)}`;
  return new FleetError('unit-name', `Cannot run ${quoted(name)}: fleet runs ${types} units`, {
    hint: quadletHint(name) ?? 'Name a unit file, such as hello.service',
  });
}

/** What to do with a file of Quadlet; undefined for any other. */
export function quadletHint(name: string): string | undefined {
  const suffix = suffixOf(name);
  if (!QUADLET.includes(suffix)) return undefined;
  return `.${suffix} files are for Quadlet: write a service that runs podman, or put the file into /etc/containers/systemd on the machine yourself`;
}

function suffixOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? '' : name.slice(dot + 1);
}
