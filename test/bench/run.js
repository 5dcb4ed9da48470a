import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { delimiter, dirname } from 'node:path';
import { text } from 'node:stream/consumers';

/** Aborted when somebody has had enough: every command of the bench ends, but for those that clear up. */
export const interruption = new AbortController();

/**
 * What commands get of our environment: next to nothing, and this very Node before any other. Some variables cost
 * time at every start (NODE_EXTRA_CA_CERTS 50 ms in Node 20), others change what ssh or fleetctl do.
 */
export const ENVIRONMENT = {
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  HOME: tmpdir(),
  LANG: 'C.UTF-8',
};

/** After this long a command is hung, in ms. */
const LONGEST = 300_000;

/**
 * Runs a command to its end. `ms` is the wall time from before its start until its output is closed. A command that
 * does not exit with 0 is an error, never a time.
 *
 * @param {readonly string[]} words the program and its arguments
 * @param {{ env?: Readonly<Record<string, string>>, outlivesInterruption?: boolean }} options
 */
export async function run([program, ...rest], { env = {}, outlivesInterruption = false } = {}) {
  if (!outlivesInterruption) interruption.signal.throwIfAborted();
  const started = performance.now();
  // A process group of its own: Ctrl-C does not reach it, and it can be ended with all that it has started.
  const child = spawn(program, rest, {
    env: { ...ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stop = () => endGroup(child, 'SIGTERM');
  const timer = setTimeout(() => endGroup(child, 'SIGKILL'), LONGEST);
  if (!outlivesInterruption) interruption.signal.addEventListener('abort', stop, { once: true });
  try {
    const [status, stdout, stderr] = await Promise.all([
      ending(child),
      text(child.stdout),
      text(child.stderr),
    ]);
    const ms = performance.now() - started;
    if (!outlivesInterruption) interruption.signal.throwIfAborted();
    if (status !== 0) throw new CommandError([program, ...rest], status, stderr || stdout);
    return { ms, stdout, stderr };
  } finally {
    clearTimeout(timer);
    interruption.signal.removeEventListener('abort', stop);
  }
}

/** The bench cannot run here, or not like that. The message is the sentence that says why. */
export class CannotRun extends Error {}

/** A command that did not do what it should. */
export class CommandError extends Error {
  /**
   * @param {readonly string[]} words
   * @param {string | number} status
   * @param {string} said
   */
  constructor(words, status, said) {
    const line = words.join(' ');
    super(`${line.length > 300 ? `${line.slice(0, 300)}…` : line}: ${status}\n${said}`.trimEnd());
    this.status = status;
    this.said = said.trim();
  }
}

/** The exit status; the signal, or why it could not be started, when there is none. */
function ending(child) {
  return new Promise((resolve) => {
    child.once('error', ({ code }) => resolve(code));
    child.once('close', (status, signal) => resolve(status ?? signal));
  });
}

function endGroup({ pid }, signal) {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
