import { isIP } from 'node:net';
import { join } from 'node:path';
import { configError } from '../base/errors.ts';
import type { SshTarget, Via } from '../ssh/target.ts';
import { ONLY_OPENSSH } from './criteria.ts';
import { type Evaluated, evaluate, firstValue, type Setting, type Settings } from './evaluate.ts';
import { type ConfigFile, ConfigFiles } from './files.ts';
import { keywordOf } from './keywords.ts';
import { LocalContext, type LocalFacts } from './local-context.ts';
import { refused, SettingsReader } from './settings.ts';
import { parseJumps } from './values.ts';

/** The files to read: those that ssh reads, one file instead, or none. */
export type Sources = { readonly kind: 'usual' | 'none' } | { readonly kind: 'file'; readonly path: string };

/** A host to look up. */
export type Lookup = {
  /** The host argument of ssh(1). */
  readonly host: string;
  /** `user` and `port` override every file, as options of ssh do. */
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** The defaults, also of jump hosts. */
  readonly base: Base;
  /** The values that override the files, also of jump hosts. */
  readonly always: Partial<Base>;
};

export type Base = Omit<SshTarget, 'name' | 'host'>;

/** The result of a lookup. `notes` are messages about ignored lines. */
export type Resolution = { readonly target: SshTarget; readonly notes: readonly string[] };

/** A longer chain of jump hosts is taken for a cycle. */
const MOST_JUMPS = 16;

/** Looks hosts up in the files of ssh_config, which are read with the first one. */
export class SshConfigResolver {
  readonly #files: ConfigFiles;
  readonly #local: LocalContext;
  readonly #sources: Sources;
  #roots: readonly ConfigFile[] | undefined;

  constructor(sources: Sources, facts: LocalFacts) {
    this.#sources = sources;
    this.#files = new ConfigFiles(facts.home);
    this.#local = new LocalContext(facts);
  }

  /**
   * The target that `ssh HOST` would connect to. Throws `config` for a line that ssh rejects, and for an unsupported one
   * that changes how or which host is reached.
   */
  resolve(lookup: Lookup): Resolution {
    const notes: string[] = [];
    return { target: this.#target(lookup, undefined, { depth: 0, notes }), notes };
  }

  /** The settings of a host. `jumps` are the hosts before it in a ProxyJump. */
  lookUp({ host: name, base, ...given }: Omit<Lookup, 'always'>, jumps?: string): LookedUp {
    this.#roots ??= this.#read();
    const port = given.port === undefined ? undefined : String(given.port);
    const query = { name, given: { user: given.user, port, proxyjump: jumps } };
    const evaluated = evaluate(query, this.#roots, this.#files, this.#local);
    const { host, settings } = evaluated;
    const text = (keyword: string): string | undefined => firstValue(settings, keyword);
    const user = text('user') ?? base.user;
    const place = { host, port: text('port') ?? String(base.port), user };
    const alias = text('hostkeyalias')?.toLowerCase() ?? name;
    const tokens = this.#local.tokens({ name, ...place, alias });
    const reader = new SettingsReader(settings, tokens, this.#local.facts);
    return { ...evaluated, ...place, port: Number(place.port), reader };
  }

  #target(lookup: Lookup, jumps: string | undefined, trail: Trail): SshTarget {
    const { host: name, base, always } = lookup;
    const found = this.lookUp(lookup, jumps);
    // With `openssh`, ssh(1) reads the same files and supports every line of them.
    const isFollowed = (always.transport ?? base.transport) === 'openssh';
    if (!isFollowed) {
      refuseUnsupported(found);
      trail.notes.push(...notesOf(found.settings));
    }
    const settled = found.reader.read({ algorithms: !isFollowed });
    const { host, port, user } = found;
    const known = knownHosts(settled, base);
    const target = { ...base, ...settled, ...known, ...always, name, alias: name, host, port, user };
    return { ...target, via: this.#via(found.reader, target, lookup, trail) };
  }

  #via(reader: SettingsReader, target: SshTarget, { base, always }: Lookup, trail: Trail): Via {
    const command = reader.expandProxy('proxycommand');
    if (command !== undefined) return { kind: 'command', command };
    const list = reader.expandProxy('proxyjump');
    if (list === undefined) return base.via;
    const last = parseJumps(list)?.at(-1);
    if (last === undefined) throw configError(`"proxyjump" has no host: ${JSON.stringify(list)}`);
    const isItself = last.host === target.host && (last.port ?? 22) === target.port;
    if ((isItself && (last.user ?? target.user) === target.user) || trail.depth === MOST_JUMPS)
      throw configError(
        `"proxyjump" of ${JSON.stringify(target.name)} forms a cycle: ${JSON.stringify(list)}`,
        'Exclude the jump host from that block: Match host !BASTION,*',
      );
    const before = list.includes(',') ? list.slice(0, list.lastIndexOf(',')) : undefined;
    const lookup = { ...last, base: { ...base, via: DIRECT }, always };
    const jump = this.#target(lookup, before, { ...trail, depth: trail.depth + 1 });
    if (jump.via.kind !== 'jump') return { kind: 'jump', jumps: [jump] };
    return { kind: 'jump', jumps: [...jump.via.jumps, { ...jump, via: DIRECT }] };
  }

  #read(): readonly ConfigFile[] {
    const sources = this.#sources;
    if (sources.kind === 'none') return [];
    const { home } = this.#local.facts;
    const files =
      sources.kind === 'file'
        ? [this.#files.read(sources.path, { isUser: true, isRequired: true })]
        : [
            this.#files.read(join(home, '.ssh/config'), { isUser: true, isRequired: false }),
            this.#files.read('/etc/ssh/ssh_config', { isUser: false, isRequired: false }),
          ];
    return files.filter((file) => file !== undefined);
  }
}

/** The settings of a host, and their reader. */
export type LookedUp = Evaluated & {
  readonly port: number;
  readonly user: string;
  readonly reader: SettingsReader;
};

type Trail = { readonly depth: number; readonly notes: string[] };

const DIRECT: Via = { kind: 'direct' };

/**
 * New keys are written to the first file that ssh_config names, and the file of fleet is read as well. For /dev/null they
 * are written to the file of fleet: otherwise a changed host key would not be noticed.
 */
function knownHosts({ userKnownHostsFiles: named, hashKnownHosts }: Partial<SshTarget>, base: Base) {
  const files = named?.filter((path) => path !== '/dev/null') ?? [];
  const own = base.userKnownHostsFiles.slice(0, 1);
  if (files.length === 0)
    return {
      userKnownHostsFiles: named === undefined ? base.userKnownHostsFiles : own,
      hashKnownHosts: false,
    };
  return { userKnownHostsFiles: [...files, ...own], hashKnownHosts: hashKnownHosts ?? false };
}

/** Values with which an unsupported keyword has no effect. */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  connectionattempts: ['1'],
  securitykeyprovider: ['internal'],
};

/** Throws `config` for the first unsupported line that changes how or which host is reached. */
function refuseUnsupported({ host, settings }: Evaluated): void {
  for (const [name, [setting]] of settings) {
    if (setting === undefined || keywordOf(name)?.role !== 'unsupported' || isHarmless(name, setting))
      continue;
    if (name === 'canonicalizehostname' && !searchesDomains(host, settings)) continue;
    if (name === 'proxyusefdpass' && !settings.has('proxycommand')) continue;
    if (name === 'refuseconnection') throw refused(name, setting, `forbids it: ${setting.values[0]}`);
    throw refused(name, setting, `is not supported: ${setting.values.join(' ')}`, ONLY_OPENSSH);
  }
}

/** A message for every line that applies and is ignored, or has a different effect than in ssh. */
function notesOf(settings: Settings): readonly string[] {
  const notes: string[] = [];
  const note = (name: string, setting: Setting, what: string): void => {
    if (setting.place !== undefined) notes.push(refused(name, setting, what).message);
  };
  for (const [name, [setting]] of settings) {
    if (setting === undefined) continue;
    const [value = ''] = setting.values;
    if (keywordOf(name)?.role === 'ignored' && !isHarmless(name, setting)) note(name, setting, 'is ignored');
    if (name === 'localcommand' && firstValue(settings, 'permitlocalcommand') !== 'yes') notes.pop();
    if (name === 'stricthostkeychecking' && value === 'off')
      note(name, setting, 'is treated as accept-new: host keys are always verified');
    if (name === 'userknownhostsfile' && /^(?:none|\/dev\/null)$/i.test(value))
      note(name, setting, "stores no keys: new host keys are stored in fleet's own file");
    if (name === 'forwardagent' && !/^(?:yes|no|true|false)$/i.test(value))
      note(name, setting, 'names another agent, so no agent is forwarded');
  }
  return notes;
}

function isHarmless(name: string, { values: [value = ''] }: Setting): boolean {
  return ['no', 'none', ''].includes(value.toLowerCase()) || (HARMLESS[name]?.includes(value) ?? false);
}

/** Whether a name is looked up in CanonicalDomains (ssh_config(5), CanonicalizeHostname). */
function searchesDomains(host: string, settings: Settings): boolean {
  const first = (name: string): string | undefined => firstValue(settings, name);
  const domains = first('canonicaldomains') ?? 'none';
  const mostDots = Number(first('canonicalizemaxdots') ?? 1);
  const isDirect = !settings.has('proxycommand') && !settings.has('proxyjump');
  const applies = isDirect || first('canonicalizehostname') === 'always';
  return applies && domains !== 'none' && isIP(host) === 0 && host.split('.').length - 1 <= mostDots;
}
