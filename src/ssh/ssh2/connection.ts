import type { Duplex, Readable } from 'node:stream';
import type { Client, ClientCallback, ClientChannel } from 'ssh2';
import type { FleetError } from '../../base/errors.ts';
import { formatDuration } from '../../base/time.ts';
import { quoted } from '../../base/visible.ts';
import { cannotReach, lost, MAX_SESSIONS, NoMoreSessions, noWay, slowSession, Unsent } from '../failure.ts';
import type { PooledConnection } from '../pooled-transport.ts';
import { StreamSession } from '../stream-session.ts';
import type { SshTarget } from '../target.ts';
import type { Login, RemoteExit, RemoteSession, SessionRequest, TerminalSize } from '../transport.ts';
import type { ByteCounter, ByteStream } from './byte-stream.ts';
import { privateParts } from './parts.ts';

declare module 'ssh2' {
  // Both take it, and neither says so in its types.
  interface ExecOptions {
    agentForward?: boolean;
  }
  interface ShellOptions {
    agentForward?: boolean;
  }
}

/** The number of keepalive requests within the keepalive timeout. */
const PINGS = 4;

/** The maximum of unread data in one stream of a channel, in bytes: more than two windows of ssh2. */
const MOST_UNREAD = 8 * 1024 * 1024;

/** The interval of ssh2's keepalive packets that goes with {@link Connection}'s watch, in ms. */
export function pingInterval(target: SshTarget): number {
  return Math.max(1, Math.floor(target.keepaliveTimeoutMs / PINGS));
}

/** An open connection to a machine: ssh2's client and the line under it, from the login to the end. */
export class Connection implements PooledConnection {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly login: Login;
  readonly #client: Client;
  readonly #line: ByteStream;
  readonly #counter: ByteCounter;
  readonly #target: SshTarget;
  #failure: FleetError | undefined;
  #reason: string | undefined;
  #granted = 0;
  #asking = 0;

  constructor(
    client: Client,
    line: ByteStream,
    counter: ByteCounter,
    target: SshTarget,
    credential: string | undefined,
  ) {
    this.login = { address: line.address, credential };
    this.#client = client;
    this.#line = line;
    this.#counter = counter;
    this.#target = target;
    client.on('error', (error) => this.#abandon(error.message));
    const watch = this.#watchForSilence();
    this.closed = new Promise((resolve) => {
      // ssh2 emits 'close' before it ends the channels, so the failure is set when a command ends.
      client.on('close', () => {
        clearInterval(watch);
        // ssh2 ends the channels now. With compression, the messages about that would fail, because their stream is closed.
        privateParts(client)._packetRW.write.finalize = (packet) => packet;
        this.#failure = lost(target, this.#reason ?? line.trouble() ?? 'the connection was closed');
        resolve();
      });
    });
  }

  /** Why the connection is gone, once it is. */
  get failure(): FleetError | undefined {
    return this.#failure;
  }

  /**
   * Starts a command or the login shell. Rejects with `ssh-lost`, for example {@link Unsent}, when the connection is
   * lost; with `ssh-turned-away`, for example {@link NoMoreSessions}, when the machine grants no session; and with
   * `ssh-timeout` when the machine sends data, but does not answer this request within `connectTimeoutMs`.
   */
  start(request: SessionRequest): Promise<RemoteSession> {
    return new Promise((resolve, reject) => {
      const wasUsed = this.#granted > 0;
      const heard = this.#counter.bytesRead;
      let isLate = false;
      // An idle connection may have been lost without notice. If nothing was received since, the command was not sent:
      // it is in a second message, after the machine has granted a session.
      const gone = (failure: FleetError): void =>
        reject(wasUsed && this.#counter.bytesRead === heard ? new Unsent(failure) : failure);
      // If nothing at all is received, the keepalive watch decides: it can tell a dead connection from a slow one.
      const timer = setTimeout(() => {
        if (this.#counter.bytesRead === heard) return timer.refresh();
        isLate = true;
        return reject(slowSession(this.#target));
      }, this.#target.connectTimeoutMs);
      const answered = (error: Error | undefined, channel: ClientChannel | undefined): void => {
        this.#asking--;
        clearTimeout(timer);
        if (error !== undefined || channel === undefined) {
          if (this.#failure !== undefined) gone(this.#failure);
          else reject(this.#refused(request, error));
          return;
        }
        const process = this.#follow(channel);
        if (isLate) process.close();
        else resolve(process);
      };
      this.#asking++;
      try {
        this.#ask(request, answered);
      } catch {
        this.#asking--;
        // ssh2 throws when the socket is no longer writable; its 'close' event follows.
        clearTimeout(timer);
        gone(this.#failure ?? lost(this.#target, 'the connection was closed'));
      }
    });
  }

  /**
   * Opens a connection from the machine to the host of a target. Rejects with `ssh-refused` when the machine cannot reach that
   * host, or must not (AllowTcpForwarding, PermitOpen), and with the failure of a lost connection.
   */
  forward(target: SshTarget): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
      const answered = (error: Error | undefined, channel: ClientChannel): void => {
        if (error === undefined) resolve(this.#bounded(channel));
        else reject(this.#failure ? noWay(target, this.#failure) : this.#noForwarding(target, error));
      };
      try {
        // The origin is for the log of sshd only.
        this.#client.forwardOut('127.0.0.1', 0, target.host, target.port, answered);
      } catch {
        reject(noWay(target, this.#failure ?? lost(this.#target, 'the connection was closed')));
      }
    });
  }

  /** Connects to a Unix socket on the machine; rejects with `ssh-turned-away` when that is refused. */
  forwardSocket(path: string): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      try {
        this.#client.openssh_forwardOutStreamLocal(path, (error, channel) => {
          if (error === undefined) resolve(this.#bounded(channel));
          else reject(this.#failure ?? this.#noSocket(path, error));
        });
      } catch {
        reject(this.#failure ?? lost(this.#target, 'the connection was closed'));
      }
    });
  }

  /** Disconnects; commands that still run are lost. Resolves when the connection is closed. */
  async close(): Promise<void> {
    this.#reason ??= 'the connection was closed here';
    this.#client.end();
    const { stream } = this.#line;
    // The disconnect message was written in this turn.
    stream.uncork();
    // Unsent data to an unreachable machine must not delay the end.
    if (stream.writableLength > 0) stream.destroy();
    else stream.end(() => stream.destroy());
    await this.closed;
  }

  #follow(channel: ClientChannel): RemoteSession {
    this.#granted++;
    this.#bounded(channel.stderr);
    return new ChannelProcess(
      this.#bounded(channel),
      this.#target,
      () => this.#failure,
      (reason) => this.#abandon(reason),
    );
  }

  /** Ends the connection when `stream` has more unread data than its window allows, which ssh2 does not check. */
  #bounded<T extends Readable>(stream: T): T {
    const push = stream.push.bind(stream);
    stream.push = (chunk, encoding) => {
      if (stream.readableLength > MOST_UNREAD)
        this.#abandon('it sent more than the window of its channel allows');
      return push(chunk, encoding);
    };
    return stream;
  }

  #ask({ command, terminal, forwardAgent, environment }: SessionRequest, answered: ClientCallback): void {
    const agentForward = forwardAgent;
    const env = { ...environment };
    // The size in pixels is not known; ssh2 would send a default one.
    const pty = terminal && {
      term: terminal.term,
      cols: terminal.size.columns,
      rows: terminal.size.rows,
      width: 0,
      height: 0,
    };
    if (command === undefined) this.#client.shell(pty ?? false, { agentForward, env }, answered);
    else this.#client.exec(command, { agentForward, env, pty: pty ?? false }, answered);
  }

  /**
   * Ends the connection when nothing was received for the keepalive timeout. Any byte counts, not only the answer to
   * a ping, which may be queued behind megabytes of output. Intervals without data are counted instead of time, because
   * time passes while this process is suspended.
   */
  #watchForSilence(): NodeJS.Timeout {
    let heard = -1;
    let silent = 0;
    const look = (): void => {
      silent = this.#counter.bytesRead === heard ? silent + 1 : 0;
      heard = this.#counter.bytesRead;
      if (silent < PINGS) return;
      this.#abandon(`no answer within ${formatDuration(this.#target.keepaliveTimeoutMs)}`);
    };
    return setInterval(look, pingInterval(this.#target)).unref();
  }

  #abandon(reason: string): void {
    this.#reason ??= reason;
    this.#line.stream.destroy();
  }

  #refused({ terminal, forwardAgent }: SessionRequest, error: Error | undefined): FleetError {
    // A number is the reason of a refused channel; a refused terminal or agent has none.
    const isChannel = typeof (error as { reason?: unknown } | undefined)?.reason === 'number';
    if (isChannel && this.#granted + this.#asking > 0) return new NoMoreSessions(this.#target, error);
    const extras = [terminal && 'a terminal', forwardAgent && 'agent forwarding'].filter(Boolean);
    const isPlain = isChannel || extras.length === 0;
    const what = `it granted no session${isPlain ? '' : ` with ${extras.join(' and ')}`}`;
    const hint = isPlain
      ? MAX_SESSIONS
      : 'Look for the reason in the log of sshd on the machine; PermitTTY and AllowAgentForwarding in its sshd_config forbid these two';
    return cannotReach(this.#target, 'ssh-turned-away', what, { hint, cause: error });
  }

  /** OpenSSH passes on the message of connect(2); the reason is 1 if its configuration forbids it (RFC 4254, 5.1). */
  #noForwarding(target: SshTarget, error: Error & { reason?: unknown }): FleetError {
    const via = `its jump host "${this.#target.name}"`;
    if (error.reason === 1) {
      const hint = `AllowTcpForwarding and PermitOpen in the sshd_config of "${this.#target.name}" control this`;
      return cannotReach(target, 'ssh-turned-away', `${via} does not let it through`, { hint, cause: error });
    }
    const said = error.message.replace('(SSH) Channel open failure: ', '').toLowerCase();
    return cannotReach(target, 'ssh-refused', `${via} cannot reach it: ${quoted(said)}`, { cause: error });
  }

  #noSocket(path: string, error: Error): FleetError {
    const said = error.message.replace('(SSH) Channel open failure: ', '').toLowerCase();
    const hint = `Check that it exists, that "${this.#target.user}" may use it, and that AllowStreamLocalForwarding in its sshd_config allows it`;
    const what = `cannot connect to "${path}" there: ${quoted(said)}`;
    return cannotReach(this.#target, 'ssh-turned-away', what, { hint, cause: error });
  }
}

/** A command over one channel of a connection. */
class ChannelProcess extends StreamSession {
  readonly #channel: ClientChannel;
  readonly #abandon: (reason: string) => void;

  /** `failure` returns why the connection was lost, if it was; `abandon` ends it. */
  constructor(
    channel: ClientChannel,
    target: SshTarget,
    failure: () => FleetError | undefined,
    abandon: (reason: string) => void,
  ) {
    super(target, { stdin: channel, stdout: channel, stderr: channel.stderr });
    this.#channel = channel;
    this.#abandon = abandon;
    this.#follow(target, failure);
  }

  resize({ columns, rows }: TerminalSize): void {
    // The two zeros are the size in pixels, which is not known.
    if (this.isOpen) this.#channel.setWindow(rows, columns, 0, 0);
  }

  protected letGo(): void {
    this.#channel.close();
  }

  protected breakOff(): void {
    this.#abandon('it kept sending over a closed channel');
  }

  /**
   * A command is over when both streams have ended and the channel is closed. A connection that is killed ends
   * all three as well, without an error: only an exit status over a connection that is still there is an exit.
   */
  #follow(target: SshTarget, connectionFailure: () => FleetError | undefined): void {
    const channel = this.#channel;
    let exit: RemoteExit | undefined;
    let awaited = 3;
    const ended = (): void => {
      awaited--;
      if (awaited > 0) return;
      this.over(connectionFailure() ?? exit ?? lost(target, 'the command ended without an exit status'));
    };
    channel.on('end', ended).on('close', ended);
    channel.stderr.on('end', ended);
    channel.on('exit', (status: number | null, signal?: string) => {
      exit = status === null ? { signal: signal ?? 'SIGKILL' } : { status };
    });
  }
}
