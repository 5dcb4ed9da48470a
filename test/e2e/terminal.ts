import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { vi } from 'vitest';

const PROGRAM = new URL('terminal.py', import.meta.url).pathname;

/** Python makes the terminal, because Node cannot. */
export const hasTerminals = spawnSync('python3', ['-c', 'import os; os.waitstatus_to_exitcode']).status === 0;

/** A command in a terminal of 100 by 40 characters. */
export class Terminal {
  /** The exit status, negative for a signal, and whether the terminal settings were restored. */
  readonly ended: Promise<{ readonly status: number; readonly restored: boolean }>;
  readonly #bridge: ChildProcess & { stdin: NodeJS.WritableStream };
  #screen = '';
  #pid = 0;

  constructor(words: readonly string[], options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }) {
    const bridge = spawn('python3', [PROGRAM, ...words], { ...options, timeout: 60_000 });
    this.#bridge = bridge;
    bridge.stdout.on('data', (chunk: Buffer) => {
      this.#screen += chunk;
    });
    bridge.stderr.once('data', (line: Buffer) => {
      this.#pid = Number.parseInt(String(line), 10);
    });
    this.ended = Promise.all([text(bridge.stderr), once(bridge, 'close')]).then(([lines]) => {
      const [status, how] = (lines.trim().split('\n').at(-1) ?? '').split(' ');
      return { status: Number(status), restored: how === 'restored' };
    });
  }

  /** Everything that was printed so far. */
  get screen(): string {
    return this.#screen;
  }

  type(keys: string): void {
    this.#bridge.stdin.write(keys);
  }

  /** Changes the window size to 132 by 50. */
  resize(): void {
    this.#bridge.kill('SIGUSR1');
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.#pid, signal);
  }

  /** Waits until the output matches. */
  async shows(what: RegExp): Promise<void> {
    await vi.waitFor(
      () => {
        if (!what.test(this.#screen)) throw new Error(`${what} is not on the screen: ${this.#screen}`);
      },
      { timeout: 20_000, interval: 20 },
    );
  }
}
