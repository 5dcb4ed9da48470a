import { configError, FleetError, inQuotes } from '../base/errors.ts';
import { cutComment, parseSections, type Section } from './parse.ts';

/**
 * A change of one machine's section, or of the keys at the top. In `set` and `top` an undefined value removes a key.
 */
export type ConfigEdit = MachineEdit | TopEdit;

type TopEdit = { readonly kind: 'top'; readonly settings: ReadonlyMap<string, string | undefined> };

export type MachineEdit =
  | { readonly kind: 'add'; readonly name: string; readonly settings: ReadonlyMap<string, string> }
  | {
      readonly kind: 'set';
      readonly name: string;
      readonly settings: ReadonlyMap<string, string | undefined>;
    }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string };

/**
 * The text of a fleet.conf with one section changed; every other byte stays unchanged, comments, order and line ends
 * included. `file` is for messages only. Throws FleetError `config` if the text is invalid, the machine exists already,
 * or a value cannot be written so that it reads back; `machine-not-found` if it does not exist.
 */
export function editConfig(file: string, text: string, edit: ConfigEdit): string {
  const header = edit.kind === 'top' ? '' : `machine.${edit.name}`;
  const before = parseSections(file, text);
  const section = before.get(header);
  if (edit.kind === 'add' && section !== undefined) throw exists(section, edit.name);
  const taken = edit.kind === 'rename' ? before.get(`machine.${edit.to}`) : undefined;
  if (edit.kind === 'rename' && taken !== undefined) throw exists(taken, edit.to);
  if (edit.kind !== 'add' && edit.kind !== 'top' && section === undefined)
    throw new FleetError(
      'machine-not-found',
      `No such machine in ${inQuotes(file)}: ${inQuotes(edit.name)}`,
      { hint: 'Machines: fleetctl list-machines' },
    );
  const result = edited(splitLines(text), header, edit).join('');
  const wanted = intended(settingsOf(before), header, edit);
  if (JSON.stringify(settingsOf(parseSections(file, result))) === JSON.stringify(wanted)) return result;
  throw configError(`cannot make this change in ${inQuotes(file)} reliably`, 'Edit it by hand');
}

function edited(lines: readonly string[], header: string, edit: ConfigEdit): readonly string[] {
  switch (edit.kind) {
    case 'add':
      return added(lines, header, edit.settings);
    case 'remove':
      return removed(lines, header);
    case 'rename':
      return lines.map((line) =>
        headerOf(line) === header ? line.replace(/\[[^\]]*\]/, () => `[machine.${edit.to}]`) : line,
      );
    default:
      return [...edit.settings].reduce((left, [key, value]) => withSetting(left, header, key, value), lines);
  }
}

function exists({ where }: Section, name: string): FleetError {
  return configError(
    `${where}: machine ${inQuotes(name)} exists already`,
    `Change it with: fleetctl machines set ${name} key=value`,
  );
}

type Settings = readonly (readonly [section: string, settings: readonly (readonly [string, string])[]])[];

/** The settings of a file, in its order. */
function settingsOf(sections: ReturnType<typeof parseSections>): Settings {
  return [...sections.values()].map(({ name, settings }) => [
    name,
    [...settings.values()].map(({ key, value }) => [key, value] as const),
  ]);
}

/** The settings that the edit must lead to. */
function intended(before: Settings, header: string, edit: ConfigEdit): Settings {
  if (edit.kind === 'add') return [...before, [header, [...edit.settings]]];
  if (edit.kind === 'remove') return before.filter(([name]) => name !== header);
  return before.map(([name, settings]) => {
    if (name !== header) return [name, settings];
    if (edit.kind === 'rename') return [`machine.${edit.to}`, settings];
    const values = new Map(settings);
    for (const [key, value] of edit.settings) {
      if (value === undefined) values.delete(key);
      else values.set(key, value);
    }
    return [name, [...values]];
  });
}

/** The lines, each with its line end. */
function splitLines(text: string): readonly string[] {
  return text.match(/[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$/g) ?? [];
}

function endOf(line: string | undefined): string {
  return /(?:\r\n|\n|\r)$/.exec(line ?? '')?.[0] ?? '';
}

/** The line end of the first line. */
function lineEnd(lines: readonly string[]): string {
  return endOf(lines[0]) || '\n';
}

function added(
  lines: readonly string[],
  header: string,
  settings: ReadonlyMap<string, string>,
): readonly string[] {
  const end = lineEnd(lines);
  const last = lines.at(-1);
  const gap = last === undefined ? '' : `${endOf(last) === '' ? end : ''}${last.trim() === '' ? '' : end}`;
  const own = [...settings].map(([key, value]) => `${key} = ${writtenValue(value)}${end}`);
  return [...lines, `${gap}[${header}]${end}`, ...own];
}

/**
 * Removes the lines from the header to the last setting, with the comments between; later lines may belong to the next
 * section. If two empty lines are adjacent then, one of them is removed.
 */
function removed(lines: readonly string[], header: string): readonly string[] {
  const { start, last } = extent(lines, header);
  const isEmpty = (line: string | undefined): boolean => line === undefined || line.trim() === '';
  const meets = start > 0 && isEmpty(lines[start - 1]) && isEmpty(lines[last + 1]);
  return [...lines.slice(0, meets ? start - 1 : start), ...lines.slice(last + 1)];
}

function withSetting(
  lines: readonly string[],
  header: string,
  key: string,
  value: string | undefined,
): readonly string[] {
  const { start, last } = extent(lines, header);
  const at = lines.findIndex((line, index) => index > start && index <= last && keyOf(line) === key);
  if (at >= 0) {
    const line = value === undefined ? [] : [withValue(lines[at] ?? '', value)];
    return [...lines.slice(0, at), ...line, ...lines.slice(at + 1)];
  }
  if (value === undefined) return lines;
  const end = lineEnd(lines);
  const before = lines[last] ?? '';
  if (last < 0) return [`${key} = ${writtenValue(value)}${end}`, ...lines];
  const indent = last > start ? (/^[ \t]*/.exec(before)?.[0] ?? '') : '';
  const whole = endOf(before) === '' ? `${before}${end}` : before;
  return [
    ...lines.slice(0, last),
    whole,
    `${indent}${key} = ${writtenValue(value)}${end}`,
    ...lines.slice(last + 1),
  ];
}

/** The indexes of a section's header and of its last setting, which is the header if it has none. */
function extent(lines: readonly string[], header: string): { readonly start: number; readonly last: number } {
  const start = lines.findIndex((line) => headerOf(line) === header);
  let last = start;
  for (let index = start + 1; index < lines.length; index++) {
    if (headerOf(lines[index] ?? '') !== undefined) break;
    if (keyOf(lines[index] ?? '') !== undefined) last = index;
  }
  return { start, last };
}

/** `[name]` → name. The file was parsed before, so each line is a comment, empty, a header or a setting. */
function headerOf(line: string): string | undefined {
  return /^\[([^\]]*)\]/.exec(line.trim())?.[1]?.trim();
}

function keyOf(line: string): string | undefined {
  const text = line.trim();
  if (text === '' || /^[;#[]/.test(text)) return undefined;
  return text.slice(0, text.indexOf('=')).trim();
}

/** The line with another value and its present blanks and comment. */
function withValue(line: string, value: string): string {
  const start = line.indexOf('=') + 1;
  const rest = line.slice(start, line.length - endOf(line).length);
  const old = cutComment(rest);
  if (old === '') {
    const blanks = /^[ \t]*/.exec(rest)?.[0] ?? '';
    const comment = rest.slice(blanks.length);
    const gap = comment.trim() === '' ? '' : ' ';
    return `${line.slice(0, start)}${blanks || ' '}${writtenValue(value)}${gap}${comment}${endOf(line)}`;
  }
  const at = start + rest.indexOf(old);
  return `${line.slice(0, at)}${writtenValue(value)}${line.slice(at + old.length)}`;
}

/** A value, in quotes if it would be read differently without them. */
export function writtenValue(value: string): string {
  return reads(value) ? value : JSON.stringify(value);
}

function reads(value: string): boolean {
  try {
    return parseSections('', `key = ${value}`).get('')?.settings.get('key')?.value === value;
  } catch {
    return false;
  }
}
