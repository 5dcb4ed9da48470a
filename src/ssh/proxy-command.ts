import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { quoted } from '../base/visible.ts';

/** The characters of a command's standard error that are kept. */
const MOST_SAID = 4000;

/**
 * The standard streams of a command that leads to a host (ssh_config(5), ProxyCommand), as one stream. The command
 * is killed when the stream is destroyed, and the stream ends when the command has.
 */
export class ProxyCommand extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  #said = '';
  #end = 'was cut off';
  #status: number | null = null;

  constructor(command: string) {
    super();
    // Ctrl-C must only reach fleetctl, which may still need the connection.
    const child = spawn('/bin/sh', ['-c', `trap '' INT; exec ${command}`], { stdio: 'pipe' });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = `${this.#said}${text}`.slice(-MOST_SAID);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => this.destroy(error));
    child.on('close', (status, signal) => {
      this.#status = status;
      this.#end = status === null ? `was ended by ${signal}` : `ended with status ${status}`;
      this.push(null);
      this.destroy();
    });
  }

  /** How it ended, with its last line of output. */
  get trouble(): string {
    const words = this.#said.trim().split('\n').at(-1);
    return `its ProxyCommand ${this.#end}${words ? `: ${quoted(words)}` : ''}`;
  }

  /** Whether the program was not found, or could not be executed (XCU 2.8.2). */
  get isMissing(): boolean {
    return this.#status === 126 || this.#status === 127;
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // A command that no longer reads is about to end, and this stream ends with it.
    this.#child.stdin.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill();
    done(error);
  }
}
