import { FleetError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import { quoted } from '../base/visible.ts';
import { dependsOnInstance, expandSpecifiers, machineSpecifier } from './specifiers.ts';
import { joinedValue, type UnitFile, type UnitOption } from './unit-file.ts';
import { isTemplate, type UnitName } from './unit-name.ts';

/** One word of an option's value: `Conflicts=a b` has two. */
export type Word = {
  /** With specifiers expanded. */
  readonly text: string;
  readonly written: string;
  readonly option: UnitOption;
  readonly unit: UnitName;
};

/** The words of every option, in the order of the file. */
export type FleetSection = ReadonlyMap<string, readonly Word[]>;

/** Option names from before the section was named [X-Fleet], which fleet still accepts. */
const DEPRECATED: Readonly<Record<string, string>> = {
  'X-ConditionMachineID': 'MachineID',
  'X-ConditionMachineOf': 'MachineOf',
  'X-ConditionMachineMetadata': 'MachineMetadata',
  'X-Conflicts': 'Conflicts',
};

/**
 * Reads the `[X-Fleet]` section of a unit. `known` are the valid options. Values are split into words, and an empty
 * value removes the words before it. In a template, words that depend on the instance are left out.
 * @throws FleetError `placement`, with the line
 */
export function readFleetSection(file: UnitFile, unit: UnitName, known: readonly string[]): FleetSection {
  const section = new Map<string, readonly Word[]>();
  checkSectionNames(file, unit);
  for (const option of file.options) {
    if (option.section !== 'X-Fleet') continue;
    const name = knownName(option, unit, known);
    const value = joinedValue(option);
    const before = value === '' ? [] : (section.get(name) ?? []);
    section.set(name, [...before, ...readWords(value, option, unit)]);
  }
  return section;
}

/** Throws a FleetError `placement` for the first value with a specifier that only the machine can expand. */
export function checkFleetSection(file: UnitFile, unit: UnitName): void {
  for (const option of file.options.filter(({ section }) => section === 'X-Fleet')) {
    const value = joinedValue(option);
    const specifier = machineSpecifier(value);
    if (specifier === undefined) continue;
    const problem = `${option.name} has the specifier ${specifier}, which only the machine can expand: ${quoted(value)}`;
    throw lineError(option, unit, problem, 'The specifiers are %n, %N, %p, %P, %i, %I, %j, %J and %%');
  }
}

/** A FleetError `placement` about one word: the unit, the line, the option, what is wrong with it, and the word. */
export function wordError(word: Word, problem: string, hint: string): FleetError {
  const expanded = word.text === word.written ? '' : `, which is ${quoted(word.text)} here`;
  const value = `${quoted(word.written)}${expanded}`;
  return lineError(word.option, word.unit, `${word.option.name} ${problem}: ${value}`, hint);
}

function lineError(option: UnitOption, unit: UnitName, problem: string, hint: string): FleetError {
  const place = `${quoted(unit.text)}, line ${option.line}`;
  return new FleetError('placement', `Cannot read the placement of ${place}: ${problem}`, { hint });
}

/** Section names that are not misspelled. */
const SECTIONS = new Set(['X-Fleet', 'Unit', 'Service', 'Install', 'Timer', 'Socket', 'Path', 'Mount']);

/** Rejects misspelled names such as `[x-fleet]`: systemd only logs a warning, and the unit would run on any machine. */
function checkSectionNames(file: UnitFile, unit: UnitName): void {
  for (const option of file.options) {
    const { section } = option;
    if (SECTIONS.has(section) || nearest(section, ['X-Fleet', 'Fleet']) === undefined) continue;
    throw lineError(option, unit, `unknown section: ${quoted(section)}`, 'Write [X-Fleet]');
  }
}

function knownName(option: UnitOption, unit: UnitName, known: readonly string[]): string {
  if (known.includes(option.name)) return option.name;
  const current = Object.hasOwn(DEPRECATED, option.name) ? DEPRECATED[option.name] : undefined;
  if (current !== undefined) return current;
  const near = nearest(option.name, [...known, ...Object.keys(DEPRECATED)]);
  const hint = near === undefined ? `The options are ${known.join(', ')}` : `Did you mean ${near}?`;
  throw lineError(option, unit, `unknown option in [X-Fleet]: ${quoted(option.name)}`, hint);
}

function readWords(value: string, option: UnitOption, unit: UnitName): Word[] {
  const words = splitWords(value);
  if (words === undefined) {
    throw lineError(option, unit, `${option.name} has an open quote: ${quoted(value)}`, 'Close the quote');
  }
  return words
    .filter((written) => !isTemplate(unit) || !dependsOnInstance(written))
    .map((written) => ({ text: expandSpecifiers(written, unit), written, option, unit }));
}

/**
 * The words of a value, separated by blanks. Text in double or single quotes is one word, without the quotes.
 * Backslashes are kept, because unit names contain them. Undefined when a quote is not closed.
 */
export function splitWords(value: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (const [part] of `${value} `.matchAll(/"[^"]*"|'[^']*'|[^\s"']+|\s+|["']/g)) {
    if (part === '"' || part === "'") return undefined;
    if (part.trim() !== '') {
      word = (word ?? '') + (/^["']/.test(part) ? part.slice(1, -1) : part);
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return words;
}
