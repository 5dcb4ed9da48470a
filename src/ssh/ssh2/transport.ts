import type { Duplex } from 'node:stream';
import { createLimit } from '../../base/async.ts';
import { isFleetError } from '../../base/errors.ts';
import { closedHere } from '../failure.ts';
import { type AskHostKey, HostKeyTrust, hostKeyRefusal } from '../host-keys/trust.ts';
import { type KeySources, Keys } from '../keys/keys.ts';
import { PooledTransport, type Use } from '../pooled-transport.ts';
import type { SshTarget } from '../target.ts';
import type { Ask, SessionTransport } from '../transport.ts';
import type { Connection } from './connection.ts';
import { type Attempt, type Opened, openConnection } from './open-connection.ts';

export type Ssh2TransportOptions = KeySources & {
  /** Asks the user to confirm the key of an unknown host; undefined without a terminal. */
  readonly askHostKey: AskHostKey | undefined;
};

/** A transport over ssh2, which is loaded when the first command starts. */
export function createSsh2Transport(options: Ssh2TransportOptions): SessionTransport {
  const { ask: askUser } = options;
  const questions = createLimit(1);
  const ask: Ask | undefined = askUser && ((question) => questions(() => askUser(question)));
  return new Ssh2Transport({
    ask,
    trust: new HostKeyTrust(options.askHostKey, questions),
    keys: new Keys({ ...options, ask }),
  });
}

/** What logins have in common. */
type Shared = { readonly trust: HostKeyTrust; readonly keys: Keys; readonly ask: Ask | undefined };

class Ssh2Transport extends PooledTransport<Connection> {
  readonly #shared: Shared;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  async socket(target: SshTarget, path: string): Promise<Duplex> {
    return (await this.first(target)).forwardSocket(path);
  }

  fresh(): SessionTransport {
    return new Ssh2Transport(this.#shared);
  }

  /** The question about an unknown host key comes between two attempts, so that no timeout runs during it. */
  protected async logIn(target: SshTarget, jumpHost: Connection | undefined, use: Use): Promise<Connection> {
    const forSession = use === 'session';
    const attempt = (timeoutMs: number): Promise<Opened> =>
      this.#attempt({ target, jumpHost, forSession, timeoutMs });
    let opened = await this.retryTurnedAway(target, attempt);
    // Only now it is known which of many hashed lines are about this host; this attempt prefers its known key.
    if (opened.kind === 'host-key' && opened.verdict.kind === 'changed' && !opened.verdict.isCertain)
      opened = await this.retryTurnedAway(target, attempt);
    if (opened.kind === 'host-key' && opened.verdict.kind === 'unknown') {
      await this.#shared.trust.agree(target, opened.key, this.closing);
      opened = await this.retryTurnedAway(target, attempt);
    }
    if (opened.kind === 'host-key') throw hostKeyRefusal(target, opened.key, opened.verdict);
    return opened.connection;
  }

  async #attempt(
    attempt: Pick<Attempt, 'target' | 'jumpHost' | 'forSession' | 'timeoutMs'>,
  ): Promise<Opened> {
    const { target } = attempt;
    const signal = this.closing;
    if (signal.aborted) throw closedHere(target);
    // The index of the package loads its server too, and node:http.
    const { default: Client } = await import('ssh2/lib/client.js');
    const { ask, keys, trust } = this.#shared;
    const credentials = await keys.of(target);
    const knownHost = trust.known(target);
    try {
      const client = new Client();
      const opened = await openConnection({ ...attempt, client, credentials, ask, knownHost, signal });
      if (opened.kind === 'open' && opened.newHostKey !== undefined) await this.#learn(target, opened);
      return opened;
    } catch (error) {
      if (isFleetError(error, 'ssh-authentication')) keys.forget();
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
