import { configError, excerpt } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import type { Section, Setting } from './parse.ts';
import type { PathBase } from './places.ts';
import { type ConfigFlags, keysOf, namesOfOption, SETTINGS, type SectionKind } from './settings.ts';
import { expectedValue, parseBoolean, readValue, type SectionSettings } from './values.ts';

/**
 * Reads a section; relative paths are relative to `base`. Throws `config` for the first invalid setting, or for a missing
 * key.
 */
export function readSection<S extends SectionKind>(
  kind: S,
  section: Section,
  base: PathBase,
): SectionSettings[S] {
  const keys = keysOf(kind);
  const values = [...section.settings.values()].map(({ key: name, value, where }) => {
    const key = keys.find((each) => each.name === name);
    if (key === undefined)
      throw configError(`${where} is not a known key: ${excerpt(value)}`, keyHint(kind, section, name));
    const read = readValue(key, value, base);
    if (read === undefined)
      throw configError(`${where} must be ${expectedValue(key, value)}: ${excerpt(value)}`);
    return [name, read];
  });
  const missing = keys.filter(({ name, required }) => required && !section.settings.has(name));
  if (missing.length === 0) return Object.fromEntries(values);
  const texts = missing.map((key) => `"${key.name}", which must be ${expectedValue(key, '')}`);
  throw configError(`${section.where} has no ${texts.join(', and no ')}`);
}

const PLACES = [
  ['top', 'at the top of the file'],
  ['ssh', 'in [ssh]'],
  ['machine', 'in [machine.NAME]'],
] as const;

/** The nearest valid key, or the sections that have this key; and all keys of the section. */
function keyHint(kind: SectionKind, section: Section, key: string): string {
  const names = keysOf(kind).map(({ name }) => name);
  const near = nearest(key, names);
  const valid = `Keys ${section.name === '' ? 'at the top of the file' : `in [${section.name}]`}: ${names.join(', ')}`;
  if (near !== undefined) return `Did you mean "${near}"? ${valid}`;
  const others = PLACES.filter(([other]) => keysOf(other).some(({ name }) => name === key));
  if (others.length === 0) return valid;
  return `"${key}" belongs ${others.map(([, place]) => place).join(' or ')}. ${valid}`;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings from options and environment variables, as a section with the keys of `[ssh]`. An option overrides its
 * variable; an empty variable counts as unset, an empty option is a value.
 */
export function overrideSection(flags: ConfigFlags, env: Environment): Section {
  const settings = new Map<string, Setting>();
  for (const row of SETTINGS) {
    if (!('key' in row && 'option' in row)) continue;
    const { flag, variable, property } = namesOfOption(row.option[0]);
    const given = flags[property as keyof ConfigFlags];
    const value = given ?? (env[variable] || undefined);
    if (typeof value !== 'string') continue;
    const where = given === undefined ? `environment variable "${variable}"` : `option "${flag}"`;
    const [key] = row.key;
    settings.set(key, { key, value, where, line: 0 });
  }
  return { name: 'flags and environment', where: 'flags and environment', line: 0, settings };
}

/** Whether an option without a value was given, or its variable is true. */
export function isFlagSet(given: boolean | undefined, variable: string, env: Environment): boolean {
  const text = env[variable] || 'false';
  const isSet = parseBoolean(text);
  if (isSet !== undefined) return given === true || isSet;
  throw configError(`environment variable "${variable}" must be true or false: ${excerpt(text)}`);
}
