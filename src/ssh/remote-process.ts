import type { Readable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import type { FleetError } from '../base/errors.ts';
import { lost } from './failure.ts';
import type { SshTarget } from './target.ts';
import type { RemoteExit, RemoteSession, SessionListener, TerminalSize } from './transport.ts';

/** A command over one channel of a connection. */
export class ChannelProcess implements RemoteSession {
  readonly exit: Promise<RemoteExit>;
  readonly #channel: ClientChannel;
  readonly #target: SshTarget;
  readonly #stdout: Output;
  readonly #stderr: Output;
  #isOpen: boolean = true;
  #reject: (error: FleetError) => void = () => undefined;

  /** `connectionFailure` tells why the connection is gone, once it is. */
  constructor(channel: ClientChannel, target: SshTarget, connectionFailure: () => FleetError | undefined) {
    this.#channel = channel;
    this.#target = target;
    this.#stdout = new Output(channel);
    this.#stderr = new Output(channel.stderr);
    this.exit = new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#follow(resolve, connectionFailure);
    });
    // Nobody has to look at the exit of a command that was let go.
    this.exit.catch(() => undefined);
  }

  write(data: string | Uint8Array): boolean {
    return !this.#isOpen || !this.#channel.writable || this.#channel.write(data);
  }

  end(): void {
    if (this.#isOpen && this.#channel.writable) this.#channel.end();
  }

  onDrain(listener: () => void): void {
    this.#channel.on('drain', listener);
  }

  onStdout(listener: SessionListener): void {
    this.#stdout.listen(listener);
  }

  onStderr(listener: SessionListener): void {
    this.#stderr.listen(listener);
  }

  resize({ columns, rows }: TerminalSize): void {
    // The two zeros are the size in pixels, which is not known.
    if (this.#isOpen) this.#channel.setWindow(rows, columns, 0, 0);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#channel.close();
    this.#reject(lost(this.#target, 'the command was let go'));
  }

  /**
   * A command is over when both streams have ended and the channel is closed. A connection that is killed ends
   * all three as well, without an error: only an exit status over a connection that is still there is an exit.
   */
  #follow(resolve: (exit: RemoteExit) => void, connectionFailure: () => FleetError | undefined): void {
    const channel = this.#channel;
    let exit: RemoteExit | undefined;
    let awaited = 3;
    const over = (): void => {
      awaited--;
      if (awaited > 0 || !this.#isOpen) return;
      this.#isOpen = false;
      const failure = connectionFailure();
      if (failure !== undefined) this.#reject(failure);
      else if (exit === undefined)
        this.#reject(lost(this.#target, 'the command ended without an exit status'));
      else resolve(exit);
    };
    const pass = (output: Output) => (chunk: Buffer) => {
      if (this.#isOpen) output.push(chunk);
    };
    channel.on('error', () => undefined);
    channel.on('data', pass(this.#stdout)).on('end', over);
    channel.stderr.on('data', pass(this.#stderr)).on('end', over);
    channel.on('exit', (status: number | null, signal?: string) => {
      exit = status === null ? { signal: signal ?? 'SIGKILL' } : { status };
    });
    channel.on('close', over);
  }
}

/**
 * One output stream: what comes before the first listener waits for it, and nothing comes while one is busy. Then
 * the machine stops sending, for SSH's window fills up.
 */
class Output {
  readonly #source: Readable;
  readonly #listeners: SessionListener[] = [];
  readonly #early: Buffer[] = [];
  #busy = 0;

  constructor(source: Readable) {
    this.#source = source;
  }

  push(chunk: Buffer): void {
    if (this.#listeners.length === 0) this.#early.push(chunk);
    for (const listener of this.#listeners) this.#give(listener, chunk);
  }

  listen(listener: SessionListener): void {
    this.#listeners.push(listener);
    for (const chunk of this.#early.splice(0)) this.#give(listener, chunk);
  }

  #give(listener: SessionListener, chunk: Buffer): void {
    const taken = listener(chunk);
    if (!(taken instanceof Promise)) return;
    this.#busy++;
    this.#source.pause();
    const goOn = (): void => {
      this.#busy--;
      if (this.#busy === 0) this.#source.resume();
    };
    taken.then(goOn, goOn);
  }
}
