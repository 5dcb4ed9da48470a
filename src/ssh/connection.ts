import type { Socket } from 'node:net';
import type { Client, ClientCallback, ClientChannel } from 'ssh2';
import { formatDuration } from '../base/duration.ts';
import type { FleetError } from '../base/errors.ts';
import { cannotReach, lost } from './failure.ts';
import { ChannelProcess } from './remote-process.ts';
import type { SshTarget } from './target.ts';
import type { RemoteSession, SessionRequest } from './transport.ts';

declare module 'ssh2' {
  // Both take it, and neither says so in its types.
  interface ExecOptions {
    agentForward?: boolean;
  }
  interface ShellOptions {
    agentForward?: boolean;
  }
}

/** How often, within the keepalive timeout, the other side is asked for a sign of life. */
const PINGS = 4;

/** The interval of ssh2's keepalive packets that goes with {@link Connection}'s watch, in ms. */
export function pingInterval(target: SshTarget): number {
  return Math.max(1, Math.floor(target.keepaliveTimeoutMs / PINGS));
}

/** An open connection to a machine: ssh2's client and the socket under it, from the login to the end. */
export class Connection {
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #target: SshTarget;
  #failure: FleetError | undefined;
  #reason: string | undefined;
  #granted = 0;

  constructor(client: Client, socket: Socket, target: SshTarget) {
    this.#client = client;
    this.#socket = socket;
    this.#target = target;
    client.on('error', (error) => this.#abandon(error.message));
    const watch = this.#watchForSilence();
    this.closed = new Promise((resolve) => {
      // ssh2 says 'close' before it ends the channels, so that every command finds the failure in place.
      client.on('close', () => {
        clearInterval(watch);
        this.#failure = lost(target, this.#reason ?? 'the connection was closed');
        resolve();
      });
    });
  }

  /** True when a command has run over this connection, or still does. */
  get wasUsed(): boolean {
    return this.#granted > 0;
  }

  /** Bytes received so far. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /**
   * Starts a command or the login shell. Rejects with `ssh-lost` when the connection is gone, with `ssh-refused` when the machine
   * grants no session and with `ssh-timeout` when it answers, but not to this for `connectTimeoutMs`.
   */
  start(request: SessionRequest): Promise<RemoteSession> {
    return new Promise((resolve, reject) => {
      const heard = this.#socket.bytesRead;
      let isLate = false;
      // A machine that says nothing at all is left to the watch, which knows a dead connection from a slow one.
      const timer = setTimeout(() => {
        if (this.#socket.bytesRead === heard) return timer.refresh();
        isLate = true;
        return reject(this.#slow());
      }, this.#target.connectTimeoutMs);
      const answered = (error: Error | undefined, channel: ClientChannel | undefined): void => {
        clearTimeout(timer);
        if (error !== undefined || channel === undefined) {
          reject(this.#failure ?? this.#refused(request, error));
          return;
        }
        this.#granted++;
        const process = new ChannelProcess(channel, this.#target, () => this.#failure);
        if (isLate) process.close();
        else resolve(process);
      };
      try {
        this.#ask(request, answered);
      } catch {
        // ssh2 throws when the socket no longer takes anything; its 'close' is then still to come.
        clearTimeout(timer);
        reject(this.#failure ?? lost(this.#target, 'the connection was closed'));
      }
    });
  }

  /** Says goodbye and closes the socket; commands that still run are lost. Resolves when it is closed. */
  async close(): Promise<void> {
    this.#reason ??= 'the connection was closed here';
    this.#client.end();
    // What a dead machine does not take must not hold up the end.
    if (this.#socket.writableLength > 0) this.#socket.destroy();
    else this.#socket.destroySoon();
    await this.closed;
  }

  #ask({ command, terminal, forwardAgent }: SessionRequest, answered: ClientCallback): void {
    const agentForward = forwardAgent;
    // The size in pixels is not known, and ssh2 would make one up.
    const pty = terminal && {
      term: terminal.term,
      cols: terminal.size.columns,
      rows: terminal.size.rows,
      width: 0,
      height: 0,
    };
    if (command === undefined) this.#client.shell(pty ?? false, { agentForward }, answered);
    else this.#client.exec(command, { agentForward, pty: pty ?? false }, answered);
  }

  /**
   * Gives the connection up when nothing at all was received for the keepalive timeout. Any byte counts, not
   * just the answer to a ping, for that may stand in line behind megabytes of output. Intervals without a byte
   * are counted, not time: a process that was suspended has missed no answers.
   */
  #watchForSilence(): NodeJS.Timeout {
    let heard = -1;
    let silent = 0;
    const look = (): void => {
      silent = this.#socket.bytesRead === heard ? silent + 1 : 0;
      heard = this.#socket.bytesRead;
      if (silent < PINGS) return;
      this.#abandon(`it has not answered for ${formatDuration(this.#target.keepaliveTimeoutMs)}`);
    };
    return setInterval(look, pingInterval(this.#target)).unref();
  }

  #abandon(reason: string): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  #slow(): FleetError {
    const time = formatDuration(this.#target.connectTimeoutMs);
    return cannotReach(this.#target, 'ssh-timeout', `it did not start a session within ${time}`);
  }

  #refused({ terminal, forwardAgent }: SessionRequest, error: Error | undefined): FleetError {
    const extras = [terminal && 'a terminal', forwardAgent && 'agent forwarding'].filter(Boolean);
    const what = `it granted no session${extras.length === 0 ? '' : ` with ${extras.join(' and ')}`}`;
    const rule =
      extras.length === 0
        ? 'MaxSessions limits the sessions of one connection'
        : 'PermitTTY and AllowAgentForwarding in its sshd_config forbid these two';
    const hint = `The log of sshd on the machine says why; ${rule}`;
    return cannotReach(this.#target, 'ssh-refused', what, { hint, cause: error });
  }
}
