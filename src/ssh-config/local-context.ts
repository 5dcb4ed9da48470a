import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import { problemAt, type SourceLine } from './words.ts';

/** The facts about this computer and its user that an ssh_config can use. */
export type LocalFacts = {
  /** Absolute, like `home`; relative paths are relative to it. */
  readonly cwd: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly user: string;
  readonly uid: number;
  /** With its domain, if it has one. */
  readonly hostName: string;
};

/** The values of a connection, for tokens. */
export type Subject = {
  /** The host argument; `host` is the resolved name or address. */
  readonly name: string;
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly alias: string;
};

/** The time limit for a command of a Match line, in ms. */
const EXEC_DEADLINE = 10_000;

/** Expands tokens and runs commands for the lines of an ssh_config. */
export class LocalContext {
  readonly facts: LocalFacts;
  readonly #answers = new Map<string, boolean>();

  constructor(facts: LocalFacts) {
    this.facts = facts;
  }

  tokens({ name, host, port, user, alias }: Subject): Tokens {
    const { home, hostName, uid, user: localUser } = this.facts;
    return {
      // A getter, because the hash is rarely used and expensive.
      get C() {
        return connectionHash(hostName, host, port, user);
      },
      d: home,
      h: host,
      i: String(uid),
      j: '',
      k: alias,
      L: hostName.replace(/\..*$/, ''),
      l: hostName,
      n: name,
      p: port,
      r: user,
      u: localUser,
    };
  }

  /** Whether the exit status of a command is 0. The same command is run only once for all machines. */
  exec(command: string, tokens: Tokens, place: SourceLine): boolean {
    const expanded = expandTokens(command, tokens);
    if ('problem' in expanded) throw problemAt(place, `"exec" ${expanded.problem}`);
    const known = this.#answers.get(expanded.text);
    if (known !== undefined) return known;
    const { env } = this.facts;
    const { status, signal, error } = spawnSync(env.SHELL || '/bin/sh', ['-c', expanded.text], {
      env,
      stdio: 'ignore',
      timeout: EXEC_DEADLINE,
      killSignal: 'SIGKILL',
    });
    if (status === null) {
      const late = (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
      const why = late
        ? `did not end within ${EXEC_DEADLINE / 1000}s`
        : (error?.message ?? `was ended by ${signal}`);
      throw problemAt(place, `the command of "exec" ${why}: ${expanded.text}`);
    }
    this.#answers.set(expanded.text, status === 0);
    return status === 0;
  }
}

/** A host name in lower case, or an IPv6 address in canonical form. */
export function normalHost(host: string): string {
  if (isIP(host) !== 6) return host.toLowerCase();
  const [address = host, zone] = host.split('%');
  const { address: usual } = new SocketAddress({ family: 'ipv6', address });
  return zone === undefined ? usual : `${usual}%${zone}`;
}

/** Letter → value of a token. */
export type Tokens = Readonly<Record<string, string>>;

/** The expanded text, or the problem as the end of a sentence. */
export type Expanded = { readonly text: string } | { readonly problem: string };

/** Replaces `%x` by tokens and `%%` by a percent sign (ssh_config(5), TOKENS). */
export function expandTokens(text: string, tokens: Tokens): Expanded {
  let problem = '';
  const result = text.replace(/%(.?)/gs, (_, letter: string) => {
    if (letter === '%') return letter;
    const value = Object.hasOwn(tokens, letter) ? tokens[letter] : undefined;
    if (value === undefined) problem ||= letter === '' ? 'ends in "%"' : `has the unknown token "%${letter}"`;
    return value ?? '';
  });
  return problem === '' ? { text: result } : { problem };
}

/** Replaces `${NAME}` by variables of the environment (ssh_config(5), ENVIRONMENT VARIABLES), and tokens at once. */
export function expandAll(
  text: string,
  tokens: Tokens,
  env: Readonly<Record<string, string | undefined>>,
): Expanded {
  let problem = '';
  // Both at once, because the value of a variable or a token is not expanded again.
  const result = text.replace(/\$\{([^}]*)(\}?)|%(?:.|$)/gs, (found, name: string | undefined, close) => {
    if (name === undefined) {
      const expanded = expandTokens(found, tokens);
      if ('text' in expanded) return expanded.text;
      problem ||= expanded.problem;
      return '';
    }
    const value = close === '}' && name !== '' ? env[name] : undefined;
    if (value === undefined) problem ||= `names the variable "${name}", which is not set`;
    return value ?? '';
  });
  return problem === '' ? { text: result } : { problem };
}

/** `%C`: SHA-1 of local host name, host, port and user. */
function connectionHash(localHost: string, host: string, port: string, user: string): string {
  return createHash('sha1').update(localHost).update(host).update(port).update(user).digest('hex');
}
