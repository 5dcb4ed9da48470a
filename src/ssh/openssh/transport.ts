import { createLimit } from '../../base/async.ts';
import { isFleetError } from '../../base/errors.ts';
import { cannotReach } from '../failure.ts';
import { PooledTransport } from '../pooled-transport.ts';
import type { SshTarget } from '../target.ts';
import type { SessionTransport } from '../transport.ts';
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
export class OpensshTransport extends PooledTransport<Master> {
  readonly #options: OpensshTransportOptions;
  readonly #folder = new PrivateFolder();
  readonly #oneAtATime = createLimit(1);

  constructor(options: OpensshTransportOptions) {
    super();
    this.#options = options;
  }

  async socket(target: SshTarget): Promise<never> {
    const what = 'a connection to a socket there is not possible with transport = openssh';
    throw cannotReach(target, 'ssh-local', what, { hint: 'Remove "transport = openssh" for it' });
  }

  /** Its masters have their own sockets. */
  fresh(): SessionTransport {
    return new OpensshTransport(this.#options);
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#folder.remove();
  }

  /** All machines are first tried at once without questions; those that need an answer follow one by one. */
  protected async logIn(target: SshTarget, jumpHost: Master | undefined): Promise<Master> {
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
    const signal = this.closing;
    return this.retryTurnedAway(target, (timeoutMs) =>
      startMaster(target, jumpHost, context, { timeoutMs, signal }),
    );
  }
}
