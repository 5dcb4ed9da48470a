import { type Criterion, parseCriteria } from './criteria.ts';
import { type Keyword, keywordOf } from './keywords.ts';
import { type HostPattern, hostPattern } from './pattern.ts';
import { type Place, problemAt } from './problem.ts';
import { nextWord, skipBlanks, splitWords } from './words.ts';

/** One line of an ssh_config. */
export type Directive = { readonly place: Place } & (
  | { readonly kind: 'option'; readonly keyword: Keyword; readonly values: readonly string[] }
  | { readonly kind: 'host'; readonly patterns: readonly HostPattern[] }
  | { readonly kind: 'match'; readonly criteria: readonly Criterion[] }
  | { readonly kind: 'include'; readonly paths: readonly string[] }
  /** A keyword that does not exist, which IgnoreUnknown may allow. */
  | { readonly kind: 'unknown'; readonly name: string }
);

/**
 * Reads the text of an ssh_config as readconf.c of OpenSSH does. Throws `config` with file and line for a line
 * that ssh would refuse, wherever it stands.
 */
export function parseSshConfig(file: string, text: string): readonly Directive[] {
  return text.split('\n').flatMap((line, index) => {
    const place = { file, line: index + 1 };
    const { word: first, rest } = nextWord(line.replace(/[ \t\r\n\f]+$/, ''));
    // Blanks at the start of a line end an empty first word.
    const { word, rest: text } = first === '' ? nextWord(rest) : { word: first, rest };
    if (word === undefined || word === '' || word.startsWith('#')) return [];
    return [parseDirective(place, word.toLowerCase(), skipBlanks(text ?? ''))];
  });
}

function parseDirective(place: Place, name: string, text: string): Directive {
  if (text === '') throw problemAt(place, `"${name}" has no argument`);
  const words = splitWords(text);
  if (words === undefined) throw problemAt(place, 'a quote is not closed');
  if (name === 'match') return { kind: 'match', place, criteria: parseCriteria(place, text) };
  if (name === 'host' || name === 'include') {
    if (words.includes('')) throw problemAt(place, `"${name}" has an empty argument`);
    return name === 'host'
      ? { kind: name, place, patterns: words.map(hostPattern) }
      : { kind: name, place, paths: words };
  }
  const keyword = keywordOf(name);
  if (keyword === undefined) return { kind: 'unknown', place, name };
  const values = keyword.read({ words, text });
  if (typeof values === 'string') throw problemAt(place, `"${name}" ${values}`);
  return { kind: 'option', place, keyword, values };
}
