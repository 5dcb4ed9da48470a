import { unsafe } from 'ini';
import { configError, excerpt, inQuotes } from '../base/errors.ts';
import { hasControlCharacter } from '../base/text.ts';

/** One `key = value`, from a file or elsewhere. `where` names it in messages: file, line, key and section. */
export type Setting = {
  readonly key: string;
  readonly value: string;
  readonly where: string;
  /** Line in the file, from 1; 0 for a setting that is not from a file. */
  readonly line: number;
};

/** A `[name]` and its settings by key. The settings before the first header have the name `''` and line 0. */
export type Section = {
  readonly name: string;
  readonly where: string;
  readonly line: number;
  readonly settings: ReadonlyMap<string, Setting>;
};

/**
 * Splits a fleet.conf into its sections by name, all in file order. `file` is for messages only. Throws `config`
 * for a line that is neither a header, a setting nor a comment, and for duplicates.
 *
 * ini reads only the values, because it gives no line numbers, merges duplicates, nests names with dots, takes a header
 * with a comment for a key and turns `true` into a boolean. A value is read exactly as written, or is an error. A comment
 * is a line that starts with `;` or `#`, or the rest of a line after a blank and one of these. A value in double quotes
 * may contain any text, escaped as in JSON.
 */
export function parseSections(file: string, text: string): ReadonlyMap<string, Section> {
  let open: OpenSection = { name: '', where: inQuotes(file), line: 0, settings: new Map() };
  const sections = new Map([[open.name, open]]);
  for (const [index, raw] of text.split(/\r\n|\n|\r/).entries()) {
    const line: Line = { text: raw.trim(), number: index + 1, where: `${inQuotes(file)} line ${index + 1}` };
    if (hasControlCharacter(line.text.replaceAll('\t', ' ')))
      throw configError(`${line.where} has a control character: ${excerpt(line.text)}`);
    if (line.text === '' || /^[;#]/.test(line.text)) continue;
    if (line.text.startsWith('[')) {
      open = openSection(line, sections);
      sections.set(open.name, open);
    } else addSetting(line, open);
  }
  return sections;
}

type Line = { readonly text: string; readonly number: number; readonly where: string };
type OpenSection = Section & { readonly settings: Map<string, Setting> };

function openSection(line: Line, sections: ReadonlyMap<string, Section>): OpenSection {
  const name = /^\[([^[\]\t]{1,200})\](?:\s*[;#].*)?$/.exec(line.text)?.[1]?.trim();
  if (name === undefined || name === '')
    throw configError(`${line.where} must be a section such as [ssh]: ${excerpt(line.text)}`);
  const earlier = sections.get(name);
  if (earlier !== undefined)
    throw configError(
      `${line.where}: section was already given on line ${earlier.line}: [${name}]`,
      'Put all of its keys into one section',
    );
  return { name, where: `${line.where}: [${name}]`, line: line.number, settings: new Map() };
}

function addSetting(line: Line, section: OpenSection): void {
  const equals = line.text.indexOf('=');
  const key = line.text.slice(0, Math.max(0, equals)).trim();
  if (key === '')
    throw configError(`${line.where} must be "key = value" or a comment: ${excerpt(line.text)}`);
  const where = `${line.where}: ${excerpt(key)} ${section.name === '' ? 'at the top' : `in [${section.name}]`}`;
  const value = readValue(line.text.slice(equals + 1), where);
  const earlier = section.settings.get(key);
  if (earlier !== undefined)
    throw configError(`${where} was already given on line ${earlier.line}: ${excerpt(value)}`);
  section.settings.set(key, { key, value, where, line: line.number });
}

/** The value in the text after the `=`. */
function readValue(text: string, where: string): string {
  const written = cutComment(text);
  const value = unsafe(written);
  // ini keeps quotes that it cannot read, and cuts or unescapes text that is not quoted.
  const faithful = written.startsWith('"') ? value !== written : value === written && !/^'/.test(written);
  if (!faithful)
    throw configError(
      `${where} can be read in more than one way: ${excerpt(written)}`,
      'Put the value in double quotes; within them \\ is written \\\\ and " is written \\"',
    );
  if (hasControlCharacter(value)) throw configError(`${where} has a control character: ${excerpt(value)}`);
  return value;
}

/** The value as written, with its quotes and without a comment. */
export function cutComment(text: string): string {
  const quoted = /^\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*(?:[;#].*)?$/.exec(text)?.[1];
  return quoted ?? text.replace(/(?:^|\s)[;#].*$/, '').trim();
}
