import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { configError } from '../base/errors.ts';
import { readTrustedText } from '../base/trusted-file.ts';
import { type Criterion, parseCriteria } from './criteria.ts';
import { type Keyword, keywordOf } from './keywords.ts';
import { nextWord, problemAt, type SourceLine, skipBlanks, splitWords } from './words.ts';

/** A file of a configuration. Includes of a user's file are relative to `~/.ssh` and may start with `~`. */
export type ConfigFile = { readonly isUser: boolean; readonly directives: readonly Directive[] };

/** Options for reading a file, which may be missing unless it `isRequired`. */
export type Reading = { readonly isUser: boolean; readonly isRequired: boolean };

type Include = Directive & { kind: 'include' };

/** Reads files of ssh_config, each of them once. */
export class ConfigFiles {
  readonly #home: string;
  readonly #files = new Map<string, ConfigFile | undefined>();
  readonly #included = new Map<Include, readonly ConfigFile[]>();

  constructor(home: string) {
    this.#home = home;
  }

  /** Reads a file; undefined for a missing one that is not required. Throws `config` for an invalid or untrusted file. */
  read(path: string, reading: Reading): ConfigFile | undefined {
    const key = `${reading.isUser} ${path}`;
    if (!this.#files.has(key)) {
      const text = readText(path, reading);
      const directives = text === undefined ? undefined : parseSshConfig(path, text);
      this.#files.set(key, directives && { isUser: reading.isUser, directives });
    }
    return this.#files.get(key);
  }

  /** The files of an Include line of `from`; none for a pattern without a match. */
  included(include: Include, from: ConfigFile): readonly ConfigFile[] {
    const known = this.#included.get(include);
    if (known !== undefined) return known;
    const { isUser } = from;
    const files = include.paths
      .flatMap((path) => globPaths(this.#anchor(path, include, isUser)))
      .flatMap((path) => this.read(path, { isUser, isRequired: true }) ?? []);
    this.#included.set(include, files);
    return files;
  }

  #anchor(path: string, { place }: Include, isUser: boolean): string {
    if (path.startsWith('/')) return path;
    if (!path.startsWith('~')) return join(isUser ? join(this.#home, '.ssh') : '/etc/ssh', path);
    if (!isUser || !/^~(?:\/|$)/.test(path)) throw problemAt(place, `cannot include "${path}"`);
    return join(this.#home, path.slice(1));
  }
}

function readText(path: string, { isRequired }: Reading): string | undefined {
  try {
    return readTrustedText(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string' || !/^E[A-Z]/.test(code)) throw error;
    if (!isRequired) return undefined;
    throw configError(`cannot read ${JSON.stringify(path)}: ${message}`);
  }
}

/** The paths that match a pattern with `*`, `?` and `[…]`, sorted as by glob(3) without flags. */
function globPaths(pattern: string): readonly string[] {
  let found = ['/'];
  for (const part of pattern.split('/').filter((each) => each !== '')) {
    found = found.flatMap((folder) => entries(folder, part));
  }
  return found;
}

function entries(folder: string, part: string): string[] {
  if (!/[*?[\\]/.test(part)) return existsSync(join(folder, part)) ? [join(folder, part)] : [];
  const matcher = toRegExp(part);
  return namesIn(folder)
    .filter((name) => matcher.test(name) && (!name.startsWith('.') || part.startsWith('.')))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((name) => join(folder, name));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // An unreadable folder has no matches, as in glob(3).
    return [];
  }
}

/** A part of a pattern between two slashes; a `[` without `]` is literal. */
function toRegExp(part: string): RegExp {
  const source = part.replace(
    /\\(.)|\[([!^]?)(\]?[^\]]*)\]|[*?]|[\\^$.|+(){}[\]]/gs,
    (found, escaped, not, set) => {
      if (escaped !== undefined) return literal(escaped);
      if (set !== undefined) return `[${not === '' ? '' : '^'}${set.replace(/[\\\]^]/g, String.raw`\$&`)}]`;
      if (found === '*') return '.*';
      return found === '?' ? '.' : literal(found);
    },
  );
  return new RegExp(`^${source}$`, 's');
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/, String.raw`\$&`);
}

/** A pattern of a Host line. */
export type HostPattern = { readonly negated: boolean; readonly text: string; readonly isName: boolean };

/** Splits the `!` from a pattern. `isName` makes the comparison with every machine fast, because most patterns are names. */
function hostPattern(text: string): HostPattern {
  const negated = text.startsWith('!');
  const pattern = negated ? text.slice(1) : text;
  return { negated, text: pattern, isName: !/[*?]/.test(pattern) };
}

/** One line of an ssh_config. */
export type Directive = { readonly place: SourceLine } & (
  | { readonly kind: 'option'; readonly keyword: Keyword; readonly values: readonly string[] }
  | { readonly kind: 'host'; readonly patterns: readonly HostPattern[] }
  | { readonly kind: 'match'; readonly criteria: readonly Criterion[] }
  | { readonly kind: 'include'; readonly paths: readonly string[] }
  /** A keyword that does not exist, which IgnoreUnknown may allow. */
  | { readonly kind: 'unknown'; readonly name: string }
);

/**
 * Reads the text of an ssh_config as readconf.c of OpenSSH does. Throws `config` with file and line for any line that
 * ssh rejects, also in a block that does not apply.
 */
function parseSshConfig(file: string, text: string): readonly Directive[] {
  return text.split('\n').flatMap((line, index) => {
    const place = { file, line: index + 1 };
    const { word: first, rest } = nextWord(line.replace(/[ \t\r\n\f]+$/, ''));
    // Blanks at the start of a line end an empty first word.
    const { word, rest: text } = first === '' ? nextWord(rest) : { word: first, rest };
    if (word === undefined || word === '' || word.startsWith('#')) return [];
    return [parseDirective(place, word.toLowerCase(), skipBlanks(text ?? ''))];
  });
}

function parseDirective(place: SourceLine, name: string, text: string): Directive {
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
