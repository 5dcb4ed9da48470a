import { spawnSync } from 'node:child_process';
import { isIP, SocketAddress } from 'node:net';
import { connectionHash, expandTokens, type Tokens } from './expand.ts';
import { type Place, problemAt } from './problem.ts';

/** What an ssh_config can ask about this computer and its user. */
export type LocalFacts = {
  /** Absolute, as is `home`; relative paths start here. */
  readonly cwd: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly user: string;
  readonly uid: number;
  /** With its domain, where it has one. */
  readonly hostName: string;
};

/** What a connection is about, for tokens. */
export type Subject = {
  /** The name as it was asked for, and what it led to. */
  readonly name: string;
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly alias: string;
};

/** A command of a Match line that has not ended by then, in ms, is an error. */
const EXEC_DEADLINE = 10_000;

/** This machine, as the lines of an ssh_config see it. */
export class Surroundings {
  readonly facts: LocalFacts;
  readonly #answers = new Map<string, boolean>();

  constructor(facts: LocalFacts) {
    this.facts = facts;
  }

  tokens({ name, host, port, user, alias }: Subject): Tokens {
    const { home, hostName, uid, user: localUser } = this.facts;
    return {
      // Seldom used, and dearer than all the others.
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

  /** Whether a command ends well. The same command is run once, however many machines ask. */
  exec(command: string, tokens: Tokens, place: Place): boolean {
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

/** A host name in small letters, and an IPv6 address in its usual form. */
export function normalHost(host: string): string {
  if (isIP(host) !== 6) return host.toLowerCase();
  const [address = host, zone] = host.split('%');
  const { address: usual } = new SocketAddress({ family: 'ipv6', address });
  return zone === undefined ? usual : `${usual}%${zone}`;
}
