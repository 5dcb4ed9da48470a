import type { Readable, Writable } from 'node:stream';
import { deferred } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import { lost } from './failure.ts';
import type { SshTarget } from './target.ts';
import type { RemoteExit, RemoteSession, SessionListener, TerminalSize } from './transport.ts';

/** The local ends of the three streams of a command. */
type Streams = { readonly stdin: Writable; readonly stdout: Readable; readonly stderr: Readable };

/** The bytes that a machine may still send after its channel was closed: at most two windows of ssh2 are in transit. */
const MOST_LATE = 4 * 1024 * 1024;

/** A command whose streams are those of a channel or of a local process. */
export abstract class StreamSession implements RemoteSession {
  readonly hasTerminal: boolean = false;
  readonly #target: SshTarget;
  readonly #stdin: Writable;
  readonly #stdout: Output;
  readonly #stderr: Output;
  #isOpen: boolean = true;
  #late = 0;
  readonly #exit = deferred<RemoteExit>();

  constructor(target: SshTarget, { stdin, stdout, stderr }: Streams) {
    this.#target = target;
    this.#stdin = stdin;
    this.#stdout = new Output(stdout);
    this.#stderr = new Output(stderr);
    // Callers may ignore the exit of a closed command.
    this.exit.catch(() => undefined);
    const pass = (output: Output) => (chunk: Buffer) => {
      if (this.#isOpen) return output.push(chunk);
      this.#late += chunk.length;
      if (this.#late > MOST_LATE) this.breakOff();
    };
    stdin.on('error', () => undefined);
    stdout.on('data', pass(this.#stdout));
    stderr.on('data', pass(this.#stderr));
  }

  get exit(): Promise<RemoteExit> {
    return this.#exit.promise;
  }

  write(data: string | Uint8Array): boolean {
    return !this.#isOpen || !this.#stdin.writable || this.#stdin.write(data);
  }

  end(): void {
    if (this.#isOpen && this.#stdin.writable) this.#stdin.end();
  }

  onDrain(listener: () => void): void {
    this.#stdin.on('drain', listener);
  }

  onStdout(listener: SessionListener): void {
    this.#stdout.listen(listener);
  }

  onStderr(listener: SessionListener): void {
    this.#stderr.listen(listener);
  }

  abstract resize(size: TerminalSize): void;

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.letGo();
    // Further data is discarded; without reading it, the end does not arrive.
    this.#stdout.open();
    this.#stderr.open();
    this.#exit.reject(lost(this.#target, 'the command was closed'));
  }

  /** Ends the local side of the command. */
  protected abstract letGo(): void;

  /** Closes the channel, because the machine keeps sending after the command was closed. */
  protected abstract breakOff(): void;

  protected get isOpen(): boolean {
    return this.#isOpen;
  }

  /** To be called when all output has been delivered; an error says why there is no exit. */
  protected over(end: RemoteExit | FleetError): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (isFleetError(end)) this.#exit.reject(end);
    else this.#exit.resolve(end);
  }
}

/**
 * One output stream: nothing is taken before the first listener is there, or while one is busy. Then the machine stops
 * sending, for SSH's window fills up.
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
    if (this.#listeners.length === 0) {
      this.#early.push(chunk);
      this.#source.pause();
    }
    for (const listener of this.#listeners) this.#give(listener, chunk);
  }

  listen(listener: SessionListener): void {
    this.#listeners.push(listener);
    for (const chunk of this.#early.splice(0)) this.#give(listener, chunk);
    if (this.#busy === 0) this.#source.resume();
  }

  /** From now on nothing waits. */
  open(): void {
    this.#early.length = 0;
    this.#source.resume();
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
