import type { ClientChannel } from 'ssh2';
import type { FleetError } from '../base/errors.ts';
import { lost } from './failure.ts';
import type { RemoteExit, RemoteProcess, SshTarget } from './transport.ts';

type Listener = (chunk: Buffer) => void;

/** A command over one channel of a connection. */
export class ChannelProcess implements RemoteProcess {
  readonly exit: Promise<RemoteExit>;
  readonly #channel: ClientChannel;
  readonly #target: SshTarget;
  readonly #stdout = new Output();
  readonly #stderr = new Output();
  #isOpen: boolean = true;
  #reject: (error: FleetError) => void = () => undefined;

  /** `connectionFailure` tells why the connection is gone, once it is. */
  constructor(channel: ClientChannel, target: SshTarget, connectionFailure: () => FleetError | undefined) {
    this.#channel = channel;
    this.#target = target;
    this.exit = new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#follow(resolve, connectionFailure);
    });
    // Nobody has to look at the exit of a command that was let go.
    this.exit.catch(() => undefined);
  }

  write(text: string): void {
    if (this.#isOpen && this.#channel.writable) this.#channel.write(text);
  }

  end(): void {
    if (this.#isOpen && this.#channel.writable) this.#channel.end();
  }

  onStdout(listener: Listener): void {
    this.#stdout.listen(listener);
  }

  onStderr(listener: Listener): void {
    this.#stderr.listen(listener);
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

/** One output stream: what comes before the first listener waits for it. */
class Output {
  readonly #listeners: Listener[] = [];
  readonly #early: Buffer[] = [];

  push(chunk: Buffer): void {
    if (this.#listeners.length === 0) this.#early.push(chunk);
    for (const listener of this.#listeners) listener(chunk);
  }

  listen(listener: Listener): void {
    this.#listeners.push(listener);
    for (const chunk of this.#early.splice(0)) listener(chunk);
  }
}
