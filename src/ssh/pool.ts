import { setMaxListeners } from 'node:events';
import { type FleetError, isFleetError } from '../base/errors.ts';
import { Authentication } from './authentication.ts';
import { BackOff } from './back-off.ts';
import type { Connection } from './connection.ts';
import { closedHere, NoMoreSessions, noWay } from './failure.ts';
import { hostKeyRefusal } from './host-key.ts';
import { type KeySources, Keys } from './keys/keys.ts';
import { createLimit, type Limit } from './limit.ts';
import { type Opened, openConnection } from './open-connection.ts';
import { type Ask, oneAtATime } from './person.ts';
import type { SshTarget } from './target.ts';
import type { Login, RemoteProcess, RemoteSession, SessionRequest, SessionTransport } from './transport.ts';
import { type AskHostKey, HostKeyTrust } from './trust.ts';

export type Ssh2TransportOptions = KeySources & {
  /** Asks whether the key of a host that was never seen before is right; undefined without a terminal. */
  readonly askHostKey: AskHostKey | undefined;
};

/** Handshakes cost processor time here; more of them at a time only make each other late. */
const MOST_OPENING = 32;
/** A sshd begins to drop connections at random when ten of them have not logged in yet (MaxStartups). */
const MOST_OPENING_AT_ONE_PLACE = 8;
/** Connections to one machine, for those that allow few sessions over each (MaxSessions). */
const MOST_CONNECTIONS = 8;

/** A transport over ssh2, which is loaded with the first command. */
export function createSsh2Transport(options: Ssh2TransportOptions): SessionTransport {
  return new Ssh2Transport(options);
}

class Ssh2Transport implements SessionTransport {
  readonly #trust: HostKeyTrust;
  readonly #keys: Keys;
  readonly #ask: Ask | undefined;
  readonly #limit = createLimit(MOST_OPENING);
  readonly #limitsOfPlaces = new Map<string, Limit>();
  readonly #closing = new AbortController();
  readonly #connections = new Map<string, Promise<Connection>>();

  constructor(options: Ssh2TransportOptions) {
    const questions = createLimit(1);
    this.#ask = options.ask && oneAtATime(options.ask, questions);
    this.#trust = new HostKeyTrust(options.askHostKey, questions);
    this.#keys = new Keys({ ...options, ask: this.#ask });
    // Every connection that is being opened listens, which node would report as a leak from the eleventh on.
    setMaxListeners(0, this.#closing.signal);
  }

  exec(target: SshTarget, command: string): Promise<RemoteProcess> {
    return this.open(target, { command, terminal: undefined, forwardAgent: false });
  }

  /**
   * A machine that grants no further session over a connection is asked over another one, and when it has as many
   * as it gets here, again later.
   */
  async open(target: SshTarget, request: SessionRequest): Promise<RemoteSession> {
    const backOff = new BackOff(target.connectTimeoutMs);
    for (let index = 0; ; index++) {
      const found = await this.#start(target, index, request);
      if (!isFleetError(found)) return found;
      if (index + 1 < MOST_CONNECTIONS) continue;
      if (!(await backOff.pause(this.#closing.signal))) throw found;
      index = -1;
    }
  }

  async login(target: SshTarget): Promise<Login> {
    return (await this.#connection(target, 0)).login;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const pooled = [...this.#connections.values()];
    await Promise.all(pooled.map((connection) => connection.then((c) => c.close(), ignore)));
  }

  /** Starts a session over the machine's nth connection; returns the refusal when that carries as many as it may. */
  async #start(
    target: SshTarget,
    index: number,
    request: SessionRequest,
  ): Promise<RemoteSession | FleetError> {
    const pooled = this.#connection(target, index);
    const connection = await pooled;
    const { wasUsed, bytesRead } = connection;
    try {
      return await connection.start(request);
    } catch (error) {
      if (error instanceof NoMoreSessions) return error;
      // An idle connection may have died unseen. If nothing came over it since, the command was never sent:
      // it is asked for in a second message, after the machine has granted a session.
      const wasDead = wasUsed && connection.bytesRead === bytesRead && isFleetError(error, 'ssh-lost');
      if (!wasDead) throw error;
      this.#drop(target, index, pooled);
      return (await this.#connection(target, index)).start(request);
    }
  }

  /** The machine's nth connection: the one there is, or a new one. */
  #connection(target: SshTarget, index: number): Promise<Connection> {
    const key = identity(target, index);
    const known = this.#connections.get(key);
    if (known !== undefined) return known;
    const opening = this.#open(target);
    this.#connections.set(key, opening);
    const drop = (): void => this.#drop(target, index, opening);
    opening.then((connection) => connection.closed.then(drop), drop);
    return opening;
  }

  #drop(target: SshTarget, index: number, pooled: Promise<Connection>): void {
    const key = identity(target, index);
    if (this.#connections.get(key) === pooled) this.#connections.delete(key);
  }

  /** An unknown host key is asked about between two attempts, so that no timeout of either side runs meanwhile. */
  async #open(target: SshTarget): Promise<Connection> {
    let opened = await this.#attemptUntilHeard(target);
    // Which of many hashed lines are about this host is only known now; its known key is asked for first this time.
    if (opened.kind === 'host-key' && opened.verdict.kind === 'changed' && !opened.verdict.isCertain)
      opened = await this.#attemptUntilHeard(target);
    if (opened.kind === 'host-key' && opened.verdict.kind === 'unknown') {
      await this.#trust.agree(target, opened.key, this.#closing.signal);
      opened = await this.#attemptUntilHeard(target);
    }
    if (opened.kind === 'host-key') throw hostKeyRefusal(target, opened.key, opened.verdict);
    return opened.connection;
  }

  /** Comes back, within the timeout, when the machine hangs up before it says a word: it has its limits too. */
  async #attemptUntilHeard(target: SshTarget): Promise<Exclude<Opened, { kind: 'turned-away' }>> {
    const jumpHost = await this.#jumpHost(target);
    const atThisPlace = this.#limitOf(target);
    let backOff: BackOff | undefined;
    for (;;) {
      const opened = await atThisPlace(() =>
        this.#limit(() => {
          backOff ??= new BackOff(target.connectTimeoutMs);
          return this.#attempt(target, jumpHost, backOff.leftMs);
        }),
      );
      if (opened.kind !== 'turned-away') return opened;
      if (!(await backOff?.pause(this.#closing.signal))) throw opened.error;
    }
  }

  /** ProxyCommands lead to one place, as far as anybody knows: a jump host that they all log in to. */
  #limitOf({ host, port, via }: SshTarget): Limit {
    const place = JSON.stringify(via.kind === 'command' ? via.kind : [host, port, via]);
    const limit = this.#limitsOfPlaces.get(place) ?? createLimit(MOST_OPENING_AT_ONE_PLACE);
    this.#limitsOfPlaces.set(place, limit);
    return limit;
  }

  /** The connection to the last host on the way to the target; it is shared by all that lies behind that. */
  async #jumpHost(target: SshTarget): Promise<Connection | undefined> {
    const host = lastJump(target);
    try {
      return host && (await this.#connection(host, 0));
    } catch (error) {
      throw isFleetError(error) ? noWay(target, error) : error;
    }
  }

  async #attempt(target: SshTarget, jumpHost: Connection | undefined, timeoutMs: number): Promise<Opened> {
    const { signal } = this.#closing;
    if (signal.aborted) throw closedHere(target);
    const { default: ssh2 } = await import('ssh2');
    const authentication = new Authentication(target, await this.#keys.of(target), this.#ask);
    const knownHost = await this.#trust.known(target);
    try {
      const opened = await openConnection({
        client: new ssh2.Client(),
        target,
        authentication,
        knownHost,
        agentSocket: target.identityAgent,
        jumpHost,
        timeoutMs,
        signal,
      });
      if (opened.kind === 'open' && opened.newHostKey !== undefined) await this.#learn(target, opened);
      return opened;
    } catch (error) {
      if (isFleetError(error, 'ssh-authentication')) this.#keys.forget();
      throw error;
    }
  }

  /** A key that cannot be written down would be a new one every time: then nothing goes over the connection. */
  async #learn(target: SshTarget, { connection, newHostKey }: Opened & { kind: 'open' }): Promise<void> {
    try {
      if (newHostKey !== undefined) await this.#trust.learn(target, newHostKey);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }
}

/** Targets with the same identity share connections: everything may change who or what it leads to. */
function identity(target: SshTarget, index: number): string {
  return JSON.stringify([target, index]);
}

/** The last host before the target, with the way to it. */
function lastJump({ via }: SshTarget): SshTarget | undefined {
  if (via.kind !== 'jump') return undefined;
  const last = via.jumps.at(-1);
  const jumps = via.jumps.slice(0, -1);
  return last && jumps.length > 0 ? { ...last, via: { kind: 'jump', jumps } } : last;
}

function ignore(): void {
  // An attempt that failed has nothing to close.
}
