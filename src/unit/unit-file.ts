import { FleetError } from '../base/errors.ts';
import { sha1 } from '../base/hash.ts';
import { quoted } from '../base/visible.ts';

/** One `Name=Value` of a unit file. `line` counts from 1. */
export type UnitOption = {
  readonly section: string;
  readonly name: string;
  /** As written, trimmed. A continued value keeps its backslashes and line ends, as in CoreOS fleet. */
  readonly value: string;
  readonly line: number;
};

/** A parsed unit file. `text` is the exact text that the user submitted. */
export type UnitFile = { readonly text: string; readonly options: readonly UnitOption[] };

type OptionBody = Omit<UnitOption, 'section'>;

/**
 * Reads a unit file by systemd.syntax(7). Values stay as written; {@link optionValues} interprets them.
 * `source` is the name of the file in messages.
 * @throws FleetError `unit-file`, always with the line
 */
export function parseUnitFile(text: string, source?: string): UnitFile {
  checkText(text, source);
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  const options: UnitOption[] = [];
  let section: string | undefined;
  let end: number;
  for (let start = 0; start < lines.length; start = end) {
    // trim() also removes a byte order mark.
    const line = lines[start]?.trim() ?? '';
    end = start + 1;
    if (line === '' || isComment(line)) continue;
    if (line.startsWith('[')) {
      section = readSectionName(line, end, source);
      continue;
    }
    if (section === undefined) throw unitFileError(source, end, `${shown(line)} is before the first section`);
    end = endOfOption(lines, start);
    options.push({ section, ...readOption(lines.slice(start, end), start + 1, source) });
  }
  if (options.length === 0) throw unitFileError(source, 1, 'the file has no options');
  return { text, options };
}

/**
 * fleet's canonical form: the options in order under their section, each section once at its first position, an empty
 * line between sections, no comments.
 */
export function serialise(options: readonly Omit<UnitOption, 'line'>[]): string {
  const sections = new Map<string, string>();
  for (const { section, name, value } of options) {
    sections.set(section, `${sections.get(section) ?? `[${section}]\n`}${name}=${value}\n`);
  }
  return [...sections.values()].join('\n');
}

/** fleet's unit hash: the SHA-1 of the canonical form, in 40 hex digits. Comments and blank lines do not change it. */
export function hashUnitFile(file: UnitFile): string {
  return sha1(serialise(file.options));
}

/**
 * The values of an option in order: an empty assignment removes those before it, and continued lines are joined
 * (systemd.syntax(7)). Quotes and specifiers stay unchanged.
 */
export function optionValues(file: UnitFile, section: string, name: string): string[] {
  const values: string[] = [];
  for (const option of file.options) {
    if (option.section !== section || option.name !== name) continue;
    const value = joinedValue(option);
    if (value === '') values.length = 0;
    else values.push(value);
  }
  return values;
}

/** The value of one assignment with its lines joined by a space and the comments between them left out. */
export function joinedValue(option: UnitOption): string {
  // Only a backslash continues a line.
  if (!option.value.includes('\\')) return option.value.trim();
  const [first = '', ...rest] = option.value.split('\n');
  return [first, ...rest.filter((line) => !isComment(line))]
    .map((line) => (isContinued(line) ? `${line.slice(0, -1)} ` : line))
    .join('')
    .trim();
}

/** Whether a word is a true boolean of systemd.syntax(7), or one of the single letters that systemd also accepts. */
export function isTrue(word: string): boolean {
  return /^(1|yes|y|true|t|on)$/i.test(word);
}

/** The effective `Description=`, specifiers not expanded. */
export function description(file: UnitFile): string | undefined {
  return optionValues(file, 'Unit', 'Description').at(-1);
}

/** Rejects binary data, and a lone carriage return, which systemd and CoreOS fleet read differently. */
function checkText(text: string, source: string | undefined): void {
  // With the flag `u` the range finds only lone surrogates; a decoder replaces an invalid byte by U+FFFD.
  const at = text.search(/[\0\ufffd\ud800-\udfff]|\r(?!\n)/u);
  if (at === -1) return;
  const line = text.slice(0, at).split('\n').length;
  const hint = 'A unit file is plain text; this seems to be another kind of file';
  if (text[at] === '\0') throw unitFileError(source, line, 'it contains a NUL byte', hint);
  if (text[at] !== '\r') throw unitFileError(source, line, 'it is not UTF-8', hint);
  throw unitFileError(
    source,
    line,
    'a carriage return without a line feed',
    'End lines with LF or with CR LF',
  );
}

function readSectionName(line: string, number: number, source: string | undefined): string {
  const hint = 'A section header is [Name], alone on its line';
  if (!line.includes(']')) {
    throw unitFileError(source, number, `the section header is not closed: ${quoted(line)}`, hint);
  }
  const name = line.slice(1, -1);
  if (line.endsWith(']') && name.trim() === name && /^[^[\]\p{Cc}]+$/u.test(name)) return name;
  throw unitFileError(source, number, `invalid section header: ${quoted(line)}`, hint);
}

/** One option, from all its lines. */
function readOption(lines: readonly string[], line: number, source: string | undefined): OptionBody {
  const [first = ''] = lines;
  const last = lines.at(-1) ?? '';
  const equals = first.indexOf('=');
  const name = first.slice(0, Math.max(equals, 0)).trim();
  if (name === '') {
    const missing = equals === -1 ? '"=" is missing' : 'the name before "=" is missing';
    throw unitFileError(source, line, `${missing}: ${quoted(first.trim())}`, 'Write Name=Value');
  }
  if (!isContinued(last) && isContinued(last.trimEnd()) && !isComment(last)) {
    // Neither systemd nor fleet continues such a line, but the trimmed form that fleet stores would be continued.
    const hint = 'Remove the blanks to join the next line, or the backslash';
    throw unitFileError(source, line + lines.length - 1, 'blanks follow the backslash', hint);
  }
  const value = [first.slice(equals + 1), ...lines.slice(1)].join('\n').trim();
  // An open continuation keeps the empty line that ends it, as in CoreOS fleet, so that the next option is not joined.
  return { name, value: isUnfinished(lines) ? `${value}\n` : value, line };
}

/**
 * The index after the last line of the option that begins at `start`. A comment does not end a continuation, with or
 * without a backslash at its end; an empty line does (systemd.syntax(7); fleet keeps comments as part of the value).
 */
function endOfOption(lines: readonly string[], start: number): number {
  let end = start + 1;
  let open = isContinued(lines[start] ?? '');
  while (open && end < lines.length) {
    const line = lines[end] ?? '';
    open = isComment(line) || isContinued(line);
    end++;
  }
  return end;
}

/** True when the lines of an option end while a continuation is open: at an empty line or at the end of the file. */
function isUnfinished(lines: readonly string[]): boolean {
  const last = lines.at(-1) ?? '';
  return isContinued(last) || (lines.length > 1 && (last.trim() === '' || isComment(last)));
}

function isComment(line: string): boolean {
  return /^\s*[#;]/.test(line);
}

/** An option, quoted. Other text is not shown: it may come from another kind of file, and be secret. */
function shown(line: string): string {
  return /^[A-Za-z][\w-]*\s*=/.test(line) ? quoted(line) : 'this';
}

/** True for an odd number of backslashes at the end: systemd reads an even number as escaped backslashes. */
function isContinued(line: string): boolean {
  let first = line.length;
  while (line[first - 1] === '\\') first--;
  return (line.length - first) % 2 === 1;
}

function unitFileError(source: string | undefined, line: number, problem: string, hint?: string): FleetError {
  const file = source === undefined ? 'the unit file' : `unit file ${quoted(source)}`;
  const message = `Cannot read ${file}, line ${line}: ${problem}`;
  return new FleetError('unit-file', message, hint === undefined ? {} : { hint });
}
