import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { deferred } from '../base/async.ts';
import { Bytes } from '../base/bytes.ts';
import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { badAnswer, beyond, LIMITS } from '../machine/limits.ts';
import type { Access } from '../ssh/become.ts';
import { openRootShell } from '../ssh/root-shell.ts';
import type { RemoteProcess, Transport } from '../ssh/transport.ts';

/** A computer on which scripts can be run. */
export type Host = {
  /** For messages. */
  readonly name: string;
  /** Runs a script of POSIX sh with `set -eu`; `input` is its standard input, empty by default. Rejects if it cannot be run. */
  run(script: string, input?: Buffer): Promise<Ran>;
};

/** The result of a script; `output` is its standard output, without the output of a login shell before it. */
export type Ran = { readonly status: number; readonly output: string; readonly errors: string };

/** This computer, as the user who runs this process. */
export function thisHost(name: string): Host {
  return {
    name,
    async run(script, input) {
      const child = spawn('/bin/sh', ['-s'], { stdio: 'pipe', env: { PATH: process.env.PATH, LC_ALL: 'C' } });
      const exit = new Promise<number>((resolve, reject) => {
        child.once('close', (code) => resolve(code ?? 255)).once('error', reject);
      });
      // A script that ends early does not read all of its input.
      child.stdin.on('error', () => undefined);
      const streams = {
        write: (data: string | Uint8Array) => void child.stdin.write(data),
        end: () => void child.stdin.end(),
        onStdout: (listener: (chunk: Buffer) => void) => void child.stdout.on('data', listener),
        onStderr: (listener: (chunk: Buffer) => void) => void child.stderr.on('data', listener),
      };
      return converse(streams, exit, script, input);
    },
  };
}

/** A computer over SSH, with the rights that `access` gives. */
export function sshHost(transport: Transport, access: Access, name: string = access.ssh.name): Host {
  return {
    name,
    async run(script, input) {
      const process = await openRootShell(transport, access, '');
      const exit = process.exit.then((how) => ('status' in how ? how.status : 255));
      try {
        return await converse(process, exit, script, input);
      } catch (error) {
        process.close();
        throw badAnswer(name, error);
      }
    },
  };
}

/** Runs a script that has to succeed, and returns its output. Throws `install` with its standard error. */
export async function runWell(host: Host, script: string, what: string, input?: Buffer): Promise<string> {
  const { status, output, errors } = await host.run(script, input);
  if (status === 0) return output;
  const why = errors.trim() === '' ? `exit status ${status}` : quoted(errors.trim());
  throw new FleetError('install', `Cannot ${what} on "${host.name}": ${why}`);
}

/** Adds the folders of root's tools, which the PATH of a login may lack. */
export const WHOLE_PATH = 'export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"';

type ShellStreams = Pick<RemoteProcess, 'write' | 'end' | 'onStdout' | 'onStderr'>;

/** The input is sent after the script has begun: earlier, the shell could read it as part of the script. */
async function converse(
  shell: ShellStreams,
  exit: Promise<number>,
  script: string,
  input: Buffer | undefined,
): Promise<Ran> {
  const marker = randomBytes(16).toString('hex');
  const said = { output: new Bytes(), errors: new Bytes() };
  const tooMuch = deferred<never>();
  const append = (to: Bytes, chunk: Buffer): void => {
    if (said.output.length + said.errors.length + chunk.length > LIMITS.output.most)
      tooMuch.reject(beyond('output'));
    else to.append(chunk);
  };
  let awaited = input;
  shell.onStdout((chunk) => {
    const seen = Math.max(0, said.output.length - marker.length);
    append(said.output, chunk);
    if (awaited === undefined || !said.output.view.includes(marker, seen)) return;
    shell.write(awaited);
    shell.end();
    awaited = undefined;
  });
  shell.onStderr((chunk) => append(said.errors, chunk));
  shell.write(wrapped(script, marker, input === undefined ? '</dev/null' : ''));
  if (input === undefined) shell.end();
  const status = await Promise.race([exit, tooMuch.promise]);
  return ranOf(status, String(said.output.view), String(said.errors.view), marker);
}

/** The script is a function that the last line calls, so an incomplete script does nothing. */
function wrapped(script: string, marker: string, from: string): string {
  return [
    '',
    WHOLE_PATH,
    'main() {',
    `echo ${marker}`,
    'set -eu',
    script,
    '}',
    `main ${from}; exit $?`,
    '',
  ].join('\n');
}

/** Without the marker the script did not begin, and the output is the error of the shell. */
function ranOf(status: number, output: string, errors: string, marker: string): Ran {
  const start = output.indexOf(`${marker}\n`);
  if (start >= 0) return { status, output: output.slice(start + marker.length + 1), errors };
  return { status: status === 0 ? 255 : status, output: '', errors: errors.trim() || output.trim() };
}
