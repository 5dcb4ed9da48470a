import { configError } from '../base/errors.ts';
import { matchesList, matchesPattern } from '../ssh/pattern.ts';
import { holds, wantsFinalPass } from './criteria.ts';
import type { ConfigFile, ConfigFiles, Directive, HostPattern } from './files.ts';
import { expandTokens, type LocalContext, normalHost } from './local-context.ts';
import { problemAt, type SourceLine } from './words.ts';

/** The values of one line that applies. `place` is undefined for a value of the caller. */
export type Setting = { readonly values: readonly string[]; readonly place: SourceLine | undefined };

/** Keyword → the setting that applies; several for keywords that add up. */
export type Settings = ReadonlyMap<string, readonly Setting[]>;

/** The first value of a keyword; undefined if it is not set. */
export function firstValue(settings: Settings, keyword: string): string | undefined {
  return settings.get(keyword)?.[0]?.values[0];
}

/** The input of an evaluation: the host argument of ssh(1), and values that override every file. */
export type Query = { readonly name: string; readonly given: Readonly<Record<string, string | undefined>> };

/** The result of an evaluation: the name or address of the host, and all settings. */
export type Evaluated = { readonly host: string; readonly settings: Settings };

/** OpenSSH's READCONF_MAX_DEPTH. */
const DEEPEST_INCLUDE = 16;

/** Finds the settings of a host: for every keyword the first line whose Host and Match conditions hold. */
export function evaluate(
  query: Query,
  roots: readonly ConfigFile[],
  files: ConfigFiles,
  local: LocalContext,
): Evaluated {
  const evaluation = new Evaluation(query, files, local);
  evaluation.pass(roots);
  if (evaluation.wantsFinal || evaluation.isCanonical) evaluation.finalPass(roots);
  return { host: evaluation.host(), settings: evaluation.settings };
}

class Evaluation {
  readonly settings = new Map<string, Setting[]>();
  wantsFinal: boolean = false;
  readonly #query: Query;
  readonly #files: ConfigFiles;
  readonly #local: LocalContext;
  #matched: string;
  #isFinal = false;

  constructor(query: Query, files: ConfigFiles, local: LocalContext) {
    this.#query = query;
    this.#files = files;
    this.#local = local;
    this.#matched = query.name;
    for (const [name, value] of Object.entries(query.given))
      if (value !== undefined) this.settings.set(name, [{ values: [value], place: undefined }]);
  }

  pass(roots: readonly ConfigFile[]): void {
    for (const file of roots) this.#apply(file, true, 0);
  }

  /** Reads the files again with the host name of the first pass. Settings of the first pass stay. */
  finalPass(roots: readonly ConfigFile[]): void {
    this.#matched = this.host();
    this.#isFinal = true;
    this.settings.set('hostname', [{ values: [escapeTokens(this.#matched)], place: undefined }]);
    this.pass(roots);
  }

  /** Whether host names are canonicalized, which also requires a second pass. */
  get isCanonical(): boolean {
    return (this.#first('canonicalizehostname') ?? 'no') !== 'no';
  }

  /** The name or address to connect to, so far. */
  host(): string {
    const setting = this.settings.get('hostname')?.[0];
    if (setting === undefined) return normalHost(this.#query.name);
    const expanded = expandTokens(setting.values[0] ?? '', { h: this.#query.name });
    if ('text' in expanded) return normalHost(expanded.text);
    const what = `"hostname" ${expanded.problem}`;
    throw setting.place === undefined ? configError(what) : problemAt(setting.place, what);
  }

  #apply(file: ConfigFile, isActive: boolean, depth: number): void {
    let active = isActive;
    for (const directive of file.directives) {
      switch (directive.kind) {
        case 'host':
          active = isActive && this.#matchesHost(directive.patterns);
          break;
        case 'match':
          active = this.#matches(directive, isActive);
          break;
        case 'include':
          if (depth === DEEPEST_INCLUDE)
            throw problemAt(directive.place, `includes are nested more than ${DEEPEST_INCLUDE} levels deep`);
          for (const inner of this.#files.included(directive, file)) this.#apply(inner, active, depth + 1);
          break;
        case 'unknown':
          this.#unknown(directive);
          break;
        case 'option':
          if (active && directive.keyword.name === 'sendenv') this.#setSendEnv(directive);
          else if (active) this.#set(directive);
      }
    }
  }

  #matchesHost(patterns: readonly HostPattern[]): boolean {
    let found = false;
    const name = this.#matched;
    for (const pattern of patterns) {
      if (pattern.isName ? pattern.text !== name : !matchesPattern(name, pattern.text)) continue;
      if (pattern.negated) return false;
      found = true;
    }
    return found;
  }

  /** `final` requires a second pass even in a block that does not apply. */
  #matches({ criteria, place }: Directive & { kind: 'match' }, isActive: boolean): boolean {
    if (wantsFinalPass(criteria)) this.wantsFinal = true;
    return isActive && holds(criteria, this.#matchContext(place));
  }

  #matchContext(place: SourceLine) {
    const localUser = this.#local.facts.user;
    const host = this.#rawHost();
    const user = this.#first('user') ?? localUser;
    return {
      isFinal: this.#isFinal,
      host,
      originalHost: this.#query.name,
      user,
      localUser,
      tag: this.#first('tag') ?? '',
      exec: (command: string) => this.#exec(command, { host, user, place }),
    };
  }

  /** The current host name, in its original case. */
  #rawHost(): string {
    const text = this.#first('hostname');
    if (text === undefined) return this.#matched;
    const expanded = expandTokens(text, { h: this.#query.name });
    return 'text' in expanded ? expanded.text : this.host();
  }

  #exec(command: string, { host, user, place }: { host: string; user: string; place: SourceLine }): boolean {
    const alias = this.#first('hostkeyalias') ?? host;
    const port = this.#first('port') ?? '22';
    const tokens = this.#local.tokens({ name: this.#query.name, host, port, user, alias });
    return this.#local.exec(command, tokens, place);
  }

  #unknown({ name, place }: Directive & { kind: 'unknown' }): void {
    const ignored = this.#first('ignoreunknown');
    if (ignored === undefined || !matchesList(name, ignored.toLowerCase()))
      throw problemAt(
        place,
        `"${name}" is not an option of ssh_config`,
        'Add it to IgnoreUnknown to ignore it',
      );
  }

  #set({ keyword, values, place }: Directive & { kind: 'option' }): void {
    const { name } = keyword;
    if (values.length === 0) return;
    const earlier = this.settings.get(name);
    if (earlier === undefined) {
      if (!this.#isTooLate(name)) this.settings.set(name, [{ values, place }]);
    } else if (keyword.adds && !earlier.some((each) => each.values[0] === values[0])) {
      earlier.push({ values, place });
    }
  }

  /** The first of ProxyCommand and ProxyJump is used, but `ProxyJump none` does not count. */
  #isTooLate(name: string): boolean {
    if (name === 'proxyjump') return this.settings.has('proxycommand');
    return name === 'proxycommand' && (this.#first('proxyjump') ?? 'none').toLowerCase() !== 'none';
  }

  /** Names add up; a `-` before a name removes its matches. */
  #setSendEnv({ values: names, place }: Directive & { kind: 'option' }): void {
    let sent = this.settings.get('sendenv')?.flatMap(({ values }) => values) ?? [];
    for (const name of names) {
      if (name.startsWith('-')) sent = sent.filter((each) => !matchesPattern(each, name.slice(1)));
      else sent.push(name);
    }
    this.settings.set('sendenv', [{ values: sent, place }]);
  }

  #first(name: string): string | undefined {
    return firstValue(this.settings, name);
  }
}

function escapeTokens(text: string): string {
  return text.replaceAll('%', '%%');
}
