import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** A command line of fleetctl, and where it runs. */
export type CommandLine = {
  readonly program: string;
  readonly words: readonly string[];
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
};

/** The result of a fleetctl: its status, null when it was killed, and its output. */
export type Outcome = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

const SCRIPT = new URL('command-server.cjs', import.meta.url).pathname;
/** A command that takes longer, in ms, is killed. */
const TIMEOUT_MS = 90_000;

const idle: CommandServer[] = [];

/** Executes a command in a process that has executed others before. Commands at the same time have a process each. */
export async function execute(line: CommandLine): Promise<Outcome> {
  const server = idle.pop() ?? new CommandServer();
  const outcome = await server.execute(line);
  if (server.isRunning) idle.push(server);
  return outcome;
}

class CommandServer {
  readonly #process = spawn(process.execPath, ['--max-semi-space-size=2', SCRIPT], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  readonly #stdout = (this.#process.stdout as Readable).setEncoding('utf8');
  readonly #stderr = (this.#process.stderr as Readable).setEncoding('utf8');
  readonly #requests = this.#process.stdio[3] as Writable;

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  async execute(line: CommandLine): Promise<Outcome> {
    const mark = `\0${randomUUID()}\n`;
    const timer = setTimeout(() => this.#process.kill(), TIMEOUT_MS);
    const ended = Promise.all([upTo(mark, this.#stdout), upTo(mark, this.#stderr)]);
    this.#requests.write(`${JSON.stringify({ ...line, mark })}\n`);
    const [stdout, stderr] = await ended;
    clearTimeout(timer);
    // process.exit() and signals end this process before the mark.
    if (!stdout.isMarked) return { status: await this.#exit(), stdout: stdout.text, stderr: stderr.text };
    const at = stdout.text.lastIndexOf('\0');
    return {
      status: Number(stdout.text.slice(at + 1)),
      stdout: stdout.text.slice(0, at),
      stderr: stderr.text,
    };
  }

  async #exit(): Promise<number | null> {
    if (this.isRunning) await once(this.#process, 'exit');
    return this.#process.exitCode;
  }
}

/** Reads a stream to the mark, or to its end. */
function upTo(
  mark: string,
  stream: Readable,
): Promise<{ readonly text: string; readonly isMarked: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    const end = (): void => {
      stream.off('data', add).off('close', end);
      const isMarked = text.endsWith(mark);
      resolve({ text: isMarked ? text.slice(0, -mark.length) : text, isMarked });
    };
    const add = (chunk: string): void => {
      text += chunk;
      if (text.endsWith(mark)) end();
    };
    stream.on('data', add).on('close', end);
  });
}
