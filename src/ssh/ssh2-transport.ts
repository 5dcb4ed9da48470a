import type { Duplex } from 'node:stream';
import { createLimit } from '../base/async.ts';
import { isFleetError } from '../base/errors.ts';
import { Authentication } from './authentication.ts';
import type { Connection } from './connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { closedHere } from './failure.ts';
import { hostKeyRefusal } from './host-key.ts';
import { type KeySources, Keys } from './keys/keys.ts';
import { type Attempt, type Opened, openConnection } from './open-connection.ts';
import type { SshTarget } from './target.ts';
import {
  type Ask,
  type Login,
  oneAtATime,
  type RemoteProcess,
  type RemoteSession,
  type SessionRequest,
  type SessionTransport,
} from './transport.ts';
import { type AskHostKey, HostKeyTrust } from './trust.ts';

export type Ssh2TransportOptions = KeySources & {
  /** Asks the user to confirm the key of an unknown host; undefined without a terminal. */
  readonly askHostKey: AskHostKey | undefined;
};

/** A transport over ssh2, which is loaded when the first command starts. */
export function createSsh2Transport(options: Ssh2TransportOptions): SessionTransport {
  const questions = createLimit(1);
  const ask = options.ask && oneAtATime(options.ask, questions);
  return new Ssh2Transport({
    ask,
    trust: new HostKeyTrust(options.askHostKey, questions),
    keys: new Keys({ ...options, ask }),
  });
}

/** What logins have in common. */
type Shared = { readonly trust: HostKeyTrust; readonly keys: Keys; readonly ask: Ask | undefined };

class Ssh2Transport implements SessionTransport {
  readonly #shared: Shared;
  readonly #connections: ConnectionPool<Connection>;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#connections = new ConnectionPool((target, jumpHost, use) =>
      this.#connect(target, jumpHost, use === 'session'),
    );
  }

  exec(target: SshTarget, command: string): Promise<RemoteProcess> {
    return this.open(target, { command, terminal: undefined, forwardAgent: false });
  }

  open(target: SshTarget, request: SessionRequest): Promise<RemoteSession> {
    return this.#connections.open(target, request);
  }

  login(target: SshTarget): Promise<Login> {
    return this.#connections.login(target);
  }

  async socket(target: SshTarget, path: string): Promise<Duplex> {
    return (await this.#connections.first(target)).forwardSocket(path);
  }

  fresh(): SessionTransport {
    return new Ssh2Transport(this.#shared);
  }

  close(): Promise<void> {
    return this.#connections.close();
  }

  /** The question about an unknown host key comes between two attempts, so that no timeout runs during it. */
  async #connect(
    target: SshTarget,
    jumpHost: Connection | undefined,
    forSession: boolean,
  ): Promise<Connection> {
    const attempt = (timeoutMs: number): Promise<Opened> =>
      this.#attempt({ target, jumpHost, forSession, timeoutMs });
    let opened = await this.#connections.retryTurnedAway(target, attempt);
    // Only now it is known which of many hashed lines are about this host; this attempt prefers its known key.
    if (opened.kind === 'host-key' && opened.verdict.kind === 'changed' && !opened.verdict.isCertain)
      opened = await this.#connections.retryTurnedAway(target, attempt);
    if (opened.kind === 'host-key' && opened.verdict.kind === 'unknown') {
      await this.#shared.trust.agree(target, opened.key, this.#connections.closing);
      opened = await this.#connections.retryTurnedAway(target, attempt);
    }
    if (opened.kind === 'host-key') throw hostKeyRefusal(target, opened.key, opened.verdict);
    return opened.connection;
  }

  async #attempt(
    attempt: Pick<Attempt, 'target' | 'jumpHost' | 'forSession' | 'timeoutMs'>,
  ): Promise<Opened> {
    const { target } = attempt;
    const signal = this.#connections.closing;
    if (signal.aborted) throw closedHere(target);
    // The index of the package loads its server too, and node:http.
    const { default: Client } = await import('ssh2/lib/client.js');
    const authentication = new Authentication(target, await this.#shared.keys.of(target), this.#shared.ask);
    const knownHost = await this.#shared.trust.known(target);
    try {
      const opened = await openConnection({
        ...attempt,
        client: new Client(),
        authentication,
        knownHost,
        agentSocket: target.identityAgent,
        signal,
      });
      if (opened.kind === 'open' && opened.newHostKey !== undefined) await this.#learn(target, opened);
      return opened;
    } catch (error) {
      if (isFleetError(error, 'ssh-authentication')) this.#shared.keys.forget();
      throw error;
    }
  }

  /** A key that cannot be stored would be unknown every time, so the connection is not used. */
  async #learn(target: SshTarget, { connection, newHostKey }: Opened & { kind: 'open' }): Promise<void> {
    try {
      if (newHostKey !== undefined) await this.#shared.trust.learn(target, newHostKey);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }
}
