import { type ChildProcess, spawn } from 'node:child_process';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { RemoteExit, RemoteProcess, Transport } from '../../src/ssh/transport.ts';

export type LocalShellOptions = {
  /** What takes the place of `/bin/sh`: `bash --posix`. */
  readonly shell: string;
  /** Commands for the login shell, before it is replaced; SCRIPT_SHELL is the process id it keeps. */
  readonly setup: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Changes what is written to the shell. */
  readonly rewrite: (script: string) => string;
};

/** A transport whose machine is this one: every command is a process here, with nothing in between. */
export class LocalShell implements Transport {
  readonly commands: string[] = [];
  readonly #options: LocalShellOptions;
  readonly #processes: ChildProcess[] = [];

  constructor(options: LocalShellOptions) {
    this.#options = options;
  }

  async exec(_target: SshTarget, command: string): Promise<RemoteProcess> {
    const { shell, setup, environment, rewrite } = this.#options;
    this.commands.push(command);
    const script = `export SCRIPT_SHELL=$$\n${setup}\n${command.replace('/bin/sh -s', `${shell} -s`)}`;
    const child = spawn('/bin/sh', ['-c', script], { env: { ...environment } });
    this.#processes.push(child);
    child.stdin.on('error', () => undefined);
    return {
      write: (text) => void child.stdin.write(rewrite(text)),
      end: () => void child.stdin.end(),
      onStdout: (listener) => void child.stdout.on('data', listener),
      onStderr: (listener) => void child.stderr.on('data', listener),
      exit: exitOf(child),
      close: () => void child.kill('SIGKILL'),
    };
  }

  /** Kills the shells that are running, as a power loss would. */
  kill(): void {
    for (const child of this.#processes) child.kill('SIGKILL');
  }

  /** Loses the connection: what the shells print goes nowhere, and no more comes in. */
  cut(): void {
    for (const child of this.#processes) {
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
    }
  }

  /** Waits until every shell has ended, and all that it started and that holds its streams. */
  async close(): Promise<void> {
    for (const child of this.#processes) child.stdin?.end();
    await Promise.all(this.#processes.map(exitOf));
  }
}

function exitOf(child: ChildProcess): Promise<RemoteExit> {
  const exit = (): RemoteExit =>
    child.exitCode === null ? { signal: child.signalCode ?? 'SIGKILL' } : { status: child.exitCode };
  const isOver = (child.exitCode ?? child.signalCode) !== null && child.stdout?.closed === true;
  if (isOver) return Promise.resolve(exit());
  return new Promise((resolve) => child.once('close', () => resolve(exit())));
}
