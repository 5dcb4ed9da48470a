import { resolve } from 'node:path';
import { configError } from '../base/errors.ts';
import { matchesPattern } from '../ssh/pattern.ts';
import type { Algorithms, AuthenticationMethod, SshTarget } from '../ssh/target.ts';
import { assembleNames, SSH2_ALGORITHMS } from './algorithms.ts';
import { ONLY_OPENSSH } from './criteria.ts';
import { firstValue, type Setting, type Settings } from './evaluate.ts';
import { type Expanded, expandAll, expandTokens, type LocalFacts, type Tokens } from './local-context.ts';
import { problemAt } from './words.ts';

/** The part of a target that ssh_config sets, except its address and its route. */
export type Settled = Partial<
  Omit<SshTarget, 'name' | 'host' | 'port' | 'user' | 'via' | 'transport' | 'passwordAuthentication'>
>;

/** Converts settings to values, and expands `~`, tokens and variables. */
export class SettingsReader {
  readonly #settings: Settings;
  readonly #tokens: Tokens;
  readonly #facts: LocalFacts;

  constructor(settings: Settings, tokens: Tokens, facts: LocalFacts) {
    this.#settings = settings;
    this.#tokens = tokens;
    this.#facts = facts;
  }

  /**
   * All settings of the files; a missing setting has no key. Lists of algorithms are relative to those of ssh2, so they
   * are left out for another client.
   */
  read({ algorithms = true }: { readonly algorithms?: boolean } = {}): Settled {
    const settled = {
      ...this.#keys(),
      ...this.#hostKeys(),
      ...this.#connection(),
      algorithms: algorithms ? this.#algorithms() : undefined,
      forwardAgent: this.#is('forwardagent', 'yes', 'true'),
      environment: this.#environment(),
    };
    const present = Object.entries(settled).filter(([, value]) => value !== undefined);
    return { ...Object.fromEntries(present), ...this.#agent() };
  }

  /** Expands ProxyCommand or ProxyJump, which have only these tokens. */
  expandProxy(name: 'proxycommand' | 'proxyjump'): string | undefined {
    const setting = this.#settings.get(name)?.[0];
    const text = setting?.values[0];
    if (setting === undefined || text === undefined || text.toLowerCase() === 'none') return undefined;
    const { h = '', k = '', n = '', p = '', r = '' } = this.#tokens;
    return settle(name, setting, expandTokens(text, { h, k, n, p, r }));
  }

  #keys() {
    return {
      identityFiles: this.#paths('identityfile'),
      certificateFiles: this.#paths('certificatefile'),
      identitiesOnly: this.#is('identitiesonly', 'yes'),
      preferredAuthentications: this.#methods(),
      numberOfPasswordPrompts: this.#number('numberofpasswordprompts'),
      batchMode: this.#is('batchmode', 'yes'),
    };
  }

  #hostKeys() {
    const strict = this.#text('stricthostkeychecking');
    return {
      // Host keys are always verified, so `off` only accepts new ones.
      strictHostKeyChecking:
        strict === 'off' ? 'accept-new' : (strict as 'ask' | 'accept-new' | 'yes' | undefined),
      userKnownHostsFiles: this.#paths('userknownhostsfile'),
      globalKnownHostsFiles: this.#paths('globalknownhostsfile'),
      hostKeyAlias: this.#text('hostkeyalias')?.toLowerCase(),
      hashKnownHosts: this.#is('hashknownhosts', 'yes'),
    } as const;
  }

  #connection() {
    const interval = this.#number('serveraliveinterval');
    const count = this.#number('serveralivecountmax') ?? 3;
    const timeout = this.#number('connecttimeout');
    return {
      addressFamily: this.#text('addressfamily') as SshTarget['addressFamily'] | undefined,
      bindAddress: this.#text('bindaddress'),
      compression: this.#is('compression', 'yes'),
      connectTimeoutMs: timeout ? timeout * 1000 : undefined,
      keepaliveTimeoutMs: interval ? interval * Math.max(1, count) * 1000 : undefined,
    };
  }

  #algorithms(): Algorithms | undefined {
    const kex = this.#names('kexalgorithms');
    const ciphers = this.#names('ciphers');
    const macs = this.#names('macs');
    const hostKeys = this.#names('hostkeyalgorithms');
    return kex || ciphers || macs || hostKeys ? { kex, ciphers, macs, hostKeys } : undefined;
  }

  #names(name: keyof typeof SSH2_ALGORITHMS): readonly string[] | undefined {
    const setting = this.#settings.get(name)?.[0];
    if (setting === undefined) return undefined;
    const { offered, more } = SSH2_ALGORITHMS[name];
    const names = assembleNames(setting.values[0] ?? '', offered, [...offered, ...more]);
    if (names.length > 0) return names;
    throw refused(name, setting, 'leaves no algorithm that fleet supports', ONLY_OPENSSH);
  }

  /** A socket, `none`, or a variable that contains a socket. */
  #agent(): Pick<Settled, 'identityAgent'> {
    const setting = this.#settings.get('identityagent')?.[0];
    const text = setting?.values[0];
    const { env } = this.#facts;
    if (setting === undefined || text === undefined) return {};
    if (text === 'none') return { identityAgent: undefined };
    const variable = text === 'SSH_AUTH_SOCK' ? text : /^\$(\w+)$/.exec(text)?.[1];
    if (variable !== undefined) return { identityAgent: env[variable] || undefined };
    return { identityAgent: this.#path('identityagent', setting, text) };
  }

  /** The allowed methods, in order of preference. */
  #methods(): readonly AuthenticationMethod[] | undefined {
    const list = this.#text('preferredauthentications')?.split(',');
    const allowed = METHODS.filter(([, keyword]) => this.#text(keyword) !== 'no').map(([method]) => method);
    if (list === undefined) return allowed.length === METHODS.length ? undefined : allowed;
    return list.flatMap((name) => allowed.filter((method) => method === name));
  }

  /** SetEnv overrides SendEnv, because ssh sets after it sends. */
  #environment(): Readonly<Record<string, string>> | undefined {
    const { env } = this.#facts;
    const sent = this.#settings.get('sendenv')?.[0]?.values ?? [];
    const set = this.#settings.get('setenv')?.[0]?.values ?? [];
    if (sent.length + set.length === 0) return undefined;
    const names = Object.keys(env).filter((name) => sent.some((pattern) => matchesPattern(name, pattern)));
    return Object.fromEntries([
      ...names.map((name) => [name, env[name] ?? '']),
      ...set.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]),
    ]);
  }

  /** All paths of a keyword, without `none`. */
  #paths(name: string): readonly string[] | undefined {
    const settings = this.#settings.get(name);
    return settings?.flatMap((setting) =>
      setting.values
        .filter((text) => text.toLowerCase() !== 'none')
        .map((text) => this.#path(name, setting, text)),
    );
  }

  #path(name: string, setting: Setting, text: string): string {
    const { cwd, home, env } = this.#facts;
    if (/^~[^/]/.test(text)) throw refused(name, setting, `names the home folder of another user: "${text}"`);
    const path = text.startsWith('~') ? `${home}/${text.slice(1).replace(/^\/+/, '')}` : text;
    return resolve(cwd, settle(name, setting, expandAll(path, this.#tokens, env)));
  }

  #is(name: string, ...values: readonly string[]): boolean | undefined {
    const text = this.#text(name);
    return text === undefined ? undefined : values.includes(text.toLowerCase());
  }

  #number(name: string): number | undefined {
    const text = this.#text(name);
    return text === undefined ? undefined : Number(text);
  }

  #text(name: string): string | undefined {
    return firstValue(this.#settings, name);
  }
}

const METHODS = [
  ['publickey', 'pubkeyauthentication'],
  ['keyboard-interactive', 'kbdinteractiveauthentication'],
  ['password', 'passwordauthentication'],
] as const;

/** An error about a setting, with its place if it has one. */
export function refused(name: string, { place }: Setting, what: string, hint?: string): Error {
  const text = `"${name}" ${what}`;
  return place === undefined ? configError(text, hint) : problemAt(place, text, hint);
}

function settle(name: string, setting: Setting, expanded: Expanded): string {
  if ('text' in expanded) return expanded.text;
  throw refused(name, setting, expanded.problem);
}
