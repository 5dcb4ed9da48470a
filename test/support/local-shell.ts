import { type ChildProcess, spawn } from 'node:child_process';
import { encodeForPrintf } from '../../src/ssh/shell.ts';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { RemoteExit, RemoteProcess, Transport } from '../../src/ssh/transport.ts';

export type LocalShellOptions = {
  /** What takes the place of `/bin/sh`: `bash --posix`. */
  readonly shell: string;
  /** Commands for the login shell, before it is replaced; SCRIPT_SHELL is the process id it keeps. */
  readonly setup: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Changes what the shell is given, in the command or on standard input. */
  readonly rewrite: (script: string) => string;
};

/** How every command begins the shell that runs scripts. */
export const CLEAN_SHELL = `/bin/sh -c 'exec env -i LC_ALL=C PATH="$PATH" /bin/sh "$@"' sh`;

/** The script in a command of `openRootShell`, encoded. */
const FIRST_SCRIPT = /(?<= sh )'([^']*)'$/;

/** The script that a command of `openRootShell` brings along; empty when it brings none. */
export function scriptIn(command: string): string {
  return decode(FIRST_SCRIPT.exec(command)?.[1] ?? '');
}

/** Changes the script in a command. */
export function rewriteCommand(command: string, rewrite: (script: string) => string): string {
  return command.replace(FIRST_SCRIPT, (_, word: string) => encodeForPrintf(rewrite(decode(word))));
}

/** Lets variables through to the scripts of a command: they tell what stands in for a machine's tools. */
export function keepVariables(command: string, names: readonly string[]): string {
  return command.replace('env -i', `env -i ${names.map((name) => `${name}="$${name}"`).join(' ')}`);
}

/** What printf makes of an encoded script. */
function decode(word: string): string {
  const bytes = word.replaceAll(/\\(?:n|0(\d{3}))/g, (_, octal?: string) =>
    octal === undefined ? '\n' : String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

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
    const ours = keepVariables(rewriteCommand(command, rewrite), [
      'SCRIPT_SHELL',
      ...Object.keys(environment),
    ]).replaceAll(/\/bin\/sh (?=-[cs]|"\$@")/g, `${shell} `);
    const script = `export SCRIPT_SHELL=$$\n${setup}\n${ours}`;
    const child = spawn('/bin/sh', ['-c', script], { env: { ...environment } });
    this.#processes.push(child);
    child.stdin.on('error', () => undefined);
    return {
      write: (text) => void child.stdin.write(rewrite(String(text))),
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
