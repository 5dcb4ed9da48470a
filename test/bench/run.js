import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** Aborted by a signal: it ends every command of the bench except clean-up. */
export const interruption = new AbortController();

/**
 * The environment of commands: as little as possible, with this Node first in PATH. Some variables slow down every
 * start (NODE_EXTRA_CA_CERTS by 50 ms in Node 20), others change the behaviour of ssh or fleetctl.
 */
export const ENVIRONMENT = {
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  HOME: tmpdir(),
  LANG: 'C.UTF-8',
};

/** A command that takes longer is killed, in ms. */
const TIMEOUT_MS = 300_000;

/**
 * Runs a command to its end. `ms` is the wall time from its start until its output is closed, and `peakMiB` the largest
 * resident memory of its process, if it is watched. A command that does not exit with 0 is an error, not a measurement.
 *
 * @param {readonly string[]} words the program and its arguments
 * @param {{ env?: Readonly<Record<string, string>>, outlivesInterruption?: boolean, watchesMemory?: boolean }} options
 */
export async function run(
  [program, ...rest],
  { env = {}, outlivesInterruption = false, watchesMemory = false } = {},
) {
  if (!outlivesInterruption) interruption.signal.throwIfAborted();
  const started = performance.now();
  // In its own process group, so that Ctrl-C does not reach it, and all of its processes can be ended together.
  const child = spawn(program, rest, {
    env: { ...ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stop = () => endGroup(child, 'SIGTERM');
  const timer = setTimeout(() => endGroup(child, 'SIGKILL'), TIMEOUT_MS);
  if (!outlivesInterruption) interruption.signal.addEventListener('abort', stop, { once: true });
  let peakMiB;
  const watch = watchesMemory && setInterval(() => (peakMiB = peakMemory(child.pid) || peakMiB), 5);
  try {
    const [status, stdout, stderr] = await Promise.all([
      ending(child),
      text(child.stdout),
      text(child.stderr),
    ]);
    const ms = performance.now() - started;
    if (!outlivesInterruption) interruption.signal.throwIfAborted();
    if (status !== 0) throw new CommandError([program, ...rest], status, stderr || stdout);
    return { ms, stdout, stderr, peakMiB };
  } finally {
    clearTimeout(timer);
    clearInterval(watch);
    interruption.signal.removeEventListener('abort', stop);
  }
}

/** Waits, unless the bench is interrupted. */
export async function pause(ms) {
  await sleep(ms, undefined, { signal: interruption.signal }).catch(() => undefined);
  interruption.signal.throwIfAborted();
}

/** The largest resident memory of a process so far, in MiB; undefined when it has ended. */
function peakMemory(pid) {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

/** The bench cannot run here, or not with these options. The message is the reason. */
export class CannotRun extends Error {}

/** A command that failed. */
export class CommandError extends Error {
  /**
   * @param {readonly string[]} words
   * @param {string | number} status
   * @param {string} output
   */
  constructor(words, status, output) {
    const line = words.join(' ');
    super(`${line.length > 300 ? `${line.slice(0, 300)}…` : line}: ${status}\n${output}`.trimEnd());
    this.status = status;
    this.output = output.trim();
  }
}

/** The exit status, the signal, or the error code of a failed start. */
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
    // It has ended already.
  }
}
