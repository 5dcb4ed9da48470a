import { configError, type FleetError } from '../base/errors.ts';

/** The characters that OpenSSH treats as blanks within a line. */
const BLANKS = /^[ \t\r\n]*/;

/** A word and the text after it. Both are undefined at the end of the text, and after a quote that is not closed. */
export type NextWord = { readonly word: string | undefined; readonly rest: string | undefined };

/**
 * Splits the first word from a text as strdelim() of OpenSSH does: it ends at blanks, at a double quote, or at one `=`
 * with blanks around it. A word in double quotes may contain all of these.
 */
export function nextWord(text: string | undefined): NextWord {
  if (text === undefined) return { word: undefined, rest: undefined };
  const end = text.search(/[ \t\r\n"=]/);
  if (end < 0) return { word: text, rest: undefined };
  if (text[end] === '"') {
    const quoted = text.slice(0, end) + text.slice(end + 1);
    const close = quoted.indexOf('"', end);
    if (close < 0) return { word: undefined, rest: undefined };
    return { word: quoted.slice(0, close), rest: skipBlanks(quoted.slice(close + 1)) };
  }
  const rest = skipBlanks(text.slice(end + 1));
  const isEquals = text[end] !== '=' && rest.startsWith('=');
  return { word: text.slice(0, end), rest: isEquals ? skipBlanks(rest.slice(1)) : rest };
}

/**
 * The words of a text as argv_split() of OpenSSH splits them. Quotes of both kinds may be anywhere in a word. `\` escapes
 * a quote, a backslash or (outside of quotes) a blank. A `#` at the start of a word begins a comment. Undefined if a quote
 * is not closed.
 */
export function splitWords(text: string): readonly string[] | undefined {
  const words: string[] = [];
  for (let at = 0; at < text.length; ) {
    if (text[at] === ' ' || text[at] === '\t') at++;
    else if (text[at] === '#') break;
    else {
      const word = readWord(text, at);
      if (word === undefined) return undefined;
      words.push(word.text);
      at = word.end;
    }
  }
  return words;
}

export function skipBlanks(text: string): string {
  return text.replace(BLANKS, '');
}

function readWord(line: string, start: number): { text: string; end: number } | undefined {
  let text = '';
  let quote = '';
  let at = start;
  for (; at < line.length; at++) {
    const char = line[at] ?? '';
    const next = line[at + 1] ?? '';
    if (char === '\\' && (/['"\\]/.test(next) || (quote === '' && next === ' '))) {
      text += next;
      at++;
    } else if (quote === '' && (char === ' ' || char === '\t')) break;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    else text += char;
  }
  return quote === '' ? { text, end: at } : undefined;
}

/** A line of a file, for messages. */
export type SourceLine = { readonly file: string; readonly line: number };

/** An error about a line of an ssh_config: `"/home/u/.ssh/config" line 3: …`. */
export function problemAt({ file, line }: SourceLine, what: string, hint?: string): FleetError {
  return configError(`${JSON.stringify(file)} line ${line}: ${what}`, hint);
}
