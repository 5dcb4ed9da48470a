import { setMaxListeners } from 'node:events';
import { isFleetError } from '../base/errors.ts';
import { Authentication } from './authentication.ts';
import type { Connection } from './connection.ts';
import { closedHere } from './failure.ts';
import { type KeySources, Keys } from './keys.ts';
import { createLimit } from './limit.ts';
import { type Opened, openConnection } from './open-connection.ts';
import type { SshTarget } from './target.ts';
import type { RemoteProcess, RemoteSession, SessionRequest, SessionTransport } from './transport.ts';
import { type AskHostKey, HostKeyTrust } from './trust.ts';

export type Ssh2TransportOptions = KeySources & {
  /** fleet's own file in OpenSSH's format; it and its folder are made when the first key is learnt. */
  readonly knownHostsFile: string;
  /** Asks whether the key of a host that was never seen before is right; undefined without a terminal. */
  readonly askHostKey: AskHostKey | undefined;
};

/** Handshakes cost processor time here; more of them at a time only make each other late. */
const MOST_OPENING = 32;

/** A transport over ssh2, which is loaded with the first command. */
export function createSsh2Transport(options: Ssh2TransportOptions): SessionTransport {
  return new Ssh2Transport(options);
}

class Ssh2Transport implements SessionTransport {
  readonly #options: Ssh2TransportOptions;
  readonly #trust: HostKeyTrust;
  readonly #limit = createLimit(MOST_OPENING);
  readonly #closing = new AbortController();
  readonly #connections = new Map<string, Promise<Connection>>();
  #library: Promise<Library> | undefined;

  constructor(options: Ssh2TransportOptions) {
    this.#options = options;
    this.#trust = new HostKeyTrust(options.knownHostsFile, options.askHostKey);
    // Every connection that is being opened listens, which node would report as a leak from the eleventh on.
    setMaxListeners(0, this.#closing.signal);
  }

  exec(target: SshTarget, command: string): Promise<RemoteProcess> {
    return this.open(target, { command, terminal: undefined, forwardAgent: false });
  }

  async open(target: SshTarget, request: SessionRequest): Promise<RemoteSession> {
    const pooled = this.#connection(target);
    const connection = await pooled;
    const { wasUsed, bytesRead } = connection;
    try {
      return await connection.start(request);
    } catch (error) {
      // An idle connection may have died unseen. If nothing came over it since, the command was never sent:
      // it is asked for in a second message, after the machine has granted a session.
      const wasDead = wasUsed && connection.bytesRead === bytesRead && isFleetError(error, 'ssh-lost');
      if (!wasDead) throw error;
      this.#drop(target, pooled);
      return (await this.#connection(target)).start(request);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const pooled = [...this.#connections.values()];
    await Promise.all(pooled.map((connection) => connection.then((c) => c.close(), ignore)));
  }

  /** The machine's connection: the one there is, or a new one. */
  #connection(target: SshTarget): Promise<Connection> {
    const known = this.#connections.get(identity(target));
    if (known !== undefined) return known;
    const opening = this.#open(target);
    this.#connections.set(identity(target), opening);
    const drop = (): void => this.#drop(target, opening);
    opening.then((connection) => connection.closed.then(drop), drop);
    return opening;
  }

  #drop(target: SshTarget, pooled: Promise<Connection>): void {
    const key = identity(target);
    if (this.#connections.get(key) === pooled) this.#connections.delete(key);
  }

  /** An unknown host key is asked about between two attempts, so that no timeout of either side runs meanwhile. */
  async #open(target: SshTarget): Promise<Connection> {
    let opened = await this.#limit(() => this.#attempt(target));
    if (opened.kind === 'host-key' && opened.verdict.kind === 'unknown') {
      await this.#trust.agree(target, opened.key, this.#closing.signal);
      opened = await this.#limit(() => this.#attempt(target));
    }
    if (opened.kind === 'host-key') throw this.#trust.refusal(target, opened.key, opened.verdict);
    return opened.connection;
  }

  async #attempt(target: SshTarget): Promise<Opened> {
    const { signal } = this.#closing;
    if (signal.aborted) throw closedHere(target);
    this.#library ??= loadLibrary(this.#options);
    const { ssh2, keys } = await this.#library;
    const authentication = new Authentication(target, await keys.of(target));
    const knownKeys = await this.#trust.known(target);
    try {
      const opened = await openConnection({
        client: new ssh2.Client(),
        target,
        authentication,
        knownKeys,
        agentSocket: this.#options.agentSocket,
        signal,
      });
      if (opened.kind === 'open' && opened.newHostKey !== undefined) await this.#learn(target, opened);
      return opened;
    } catch (error) {
      if (isFleetError(error, 'ssh-authentication')) keys.forget();
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

type Library = { readonly ssh2: typeof import('ssh2'); readonly keys: Keys };

async function loadLibrary(sources: KeySources): Promise<Library> {
  const { default: ssh2 } = await import('ssh2');
  return { ssh2, keys: new Keys(ssh2, sources) };
}

/** Targets with the same identity share a connection: everything may change who or what it leads to. */
function identity(target: SshTarget): string {
  return JSON.stringify(target);
}

function ignore(): void {
  // An attempt that failed has nothing to close.
}
