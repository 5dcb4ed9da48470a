import { createLimit } from '../../base/async.ts';
import { isFleetError } from '../../base/errors.ts';
import { ConnectionPool } from '../connection-pool.ts';
import { cannotReach } from '../failure.ts';
import type { SshTarget } from '../target.ts';
import type { Login, RemoteProcess, RemoteSession, SessionRequest, SessionTransport } from '../transport.ts';
import { PrivateFolder } from './folder.ts';
import { type Master, startMaster } from './master.ts';

export type OpensshTransportOptions = {
  /** For `-F`: the configuration that ssh reads besides the options of a target; undefined for the user's own. */
  readonly configFile: string | undefined;
  /** Whether there is a terminal on which ssh may ask the user. */
  readonly hasTerminal: boolean;
  /** The environment of ssh. */
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** A transport over the installed ssh(1). */
export function createOpensshTransport(options: OpensshTransportOptions): SessionTransport {
  return new OpensshTransport(options);
}

class OpensshTransport implements SessionTransport {
  readonly #options: OpensshTransportOptions;
  readonly #folder = new PrivateFolder();
  readonly #oneAtATime = createLimit(1);
  readonly #masters: ConnectionPool<Master>;

  constructor(options: OpensshTransportOptions) {
    this.#options = options;
    this.#masters = new ConnectionPool((target, jumpHost) => this.#logIn(target, jumpHost));
  }

  exec(target: SshTarget, command: string): Promise<RemoteProcess> {
    return this.open(target, { command, terminal: undefined, forwardAgent: false });
  }

  open(target: SshTarget, request: SessionRequest): Promise<RemoteSession> {
    return this.#masters.open(target, request);
  }

  login(target: SshTarget): Promise<Login> {
    return this.#masters.login(target);
  }

  async socket(target: SshTarget): Promise<never> {
    throw cannotReach(
      target,
      'ssh-local',
      'a connection to a socket there is not possible with transport = openssh',
      {
        hint: 'Remove "transport = openssh" for it',
      },
    );
  }

  /** Its masters have their own sockets. */
  fresh(): SessionTransport {
    return new OpensshTransport(this.#options);
  }

  async close(): Promise<void> {
    await this.#masters.close();
    await this.#folder.remove();
  }

  /** All machines are first tried at once without questions; those that need an answer follow one by one. */
  async #logIn(target: SshTarget, jumpHost: Master | undefined): Promise<Master> {
    const { hasTerminal } = this.#options;
    try {
      return await this.#attempt(target, jumpHost, false);
    } catch (error) {
      const needsAnswer = isFleetError(error, 'ssh-authentication') || isFleetError(error, 'ssh-host-key');
      if (!needsAnswer || !hasTerminal || target.batchMode) throw error;
      return this.#oneAtATime(() => this.#attempt(target, jumpHost, true));
    }
  }

  async #attempt(target: SshTarget, jumpHost: Master | undefined, mayAsk: boolean): Promise<Master> {
    const { configFile, environment } = this.#options;
    const context = { configFile, environment, mayAsk, folder: this.#folder };
    const signal = this.#masters.closing;
    const { master } = await this.#masters.retryTurnedAway(target, (timeoutMs) =>
      startMaster(target, jumpHost, context, { timeoutMs, signal }),
    );
    return master;
  }
}
