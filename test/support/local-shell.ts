import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { encodeForPrintf } from '../../src/ssh/shell.ts';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { RemoteExit, RemoteProcess, Transport } from '../../src/ssh/transport.ts';

export type LocalShellOptions = {
  /** Replaces `/bin/sh`, for example `bash --posix`. */
  readonly shell: string;
  /** Commands for the login shell, before it executes the script shell; SCRIPT_SHELL is its process id. */
  readonly setup: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Changes scripts in the command or on standard input. */
  readonly rewrite: (script: string) => string;
  /** Called before each command, in place of it if it throws. */
  readonly onExec?: (() => unknown) | undefined;
};

/** The start of every command, up to the shell that runs scripts. */
export const CLEAN_SHELL = `/bin/sh -c 'exec env -i LC_ALL=C PATH="$PATH" /bin/sh "$@"' sh`;

/** The script in a command of `openRootShell`, encoded. */
const FIRST_SCRIPT = /(?<= sh )'([^']*)'$/;

/** The script in a command of `openRootShell`, or an empty string. */
export function scriptIn(command: string): string {
  return decode(FIRST_SCRIPT.exec(command)?.[1] ?? '');
}

/** Changes the script in a command. */
export function rewriteCommand(command: string, rewrite: (script: string) => string): string {
  return command.replace(FIRST_SCRIPT, (_, word: string) => encodeForPrintf(rewrite(decode(word))));
}

/** Passes variables to the scripts of a command; the stubs of a machine's tools read them. */
export function keepVariables(command: string, names: readonly string[]): string {
  return command.replace('env -i', `env -i ${names.map((name) => `${name}="$${name}"`).join(' ')}`);
}

/** Decodes a script as printf does. */
function decode(word: string): string {
  const bytes = word.replaceAll(/\\(?:n|0(\d{3}))/g, (_, octal?: string) =>
    octal === undefined ? '\n' : String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A transport that runs every command as a local process. */
export class LocalShell implements Transport {
  readonly commands: string[] = [];
  readonly #options: LocalShellOptions;
  readonly #freshOptions: LocalShellOptions;
  readonly #processes: ChildProcess[] = [];

  /** `freshOptions` are those of fresh transports. */
  constructor(options: LocalShellOptions, freshOptions = options) {
    this.#options = options;
    this.#freshOptions = freshOptions;
  }

  fresh(): LocalShell {
    return new LocalShell(this.#freshOptions);
  }

  async exec(_target: SshTarget, command: string): Promise<RemoteProcess> {
    const { shell, setup, environment, rewrite, onExec } = this.#options;
    await onExec?.();
    this.commands.push(command);
    const localCommand = keepVariables(rewriteCommand(command, rewrite), [
      'SCRIPT_SHELL',
      ...Object.keys(environment),
    ]).replaceAll(/\/bin\/sh (?=-[cs]|"\$@")/g, `${shell} `);
    const script = `export SCRIPT_SHELL=$$\n${setup}\n${localCommand}`;
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

  get isRunning(): boolean {
    return this.#processes.some(({ exitCode, signalCode }) => (exitCode ?? signalCode) === null);
  }

  /** Kills all running shells, like a power loss. */
  kill(): void {
    for (const child of this.#processes) child.kill('SIGKILL');
  }

  /** Loses the connection: closes the streams of all shells. */
  cut(): void {
    for (const child of this.#processes) {
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
    }
  }

  /** Waits until every shell, and every child that holds its streams, has ended. */
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

/**
 * The installed POSIX shells that a machine may have as `/bin/sh`. `--norc`, because a bash that is called as sh does
 * not read ~/.bashrc.
 */
export const SHELLS: readonly string[] = ['/bin/sh', 'bash --posix --norc', 'busybox sh'].filter(
  (shell) => spawnSync('/bin/sh', ['-c', `${shell} -c :`], { stdio: 'ignore' }).status === 0,
);
