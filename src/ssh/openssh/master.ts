import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFile, stat, truncate } from 'node:fs/promises';
import { deferred } from '../../base/async.ts';
import { FleetError } from '../../base/errors.ts';
import { cannotReach, closedHere, lost, MAX_SESSIONS, NoMoreSessions, timedOut } from '../failure.ts';
import type { PooledConnection } from '../pooled-transport.ts';
import type { SshTarget } from '../target.ts';
import type { Login, RemoteSession, SessionRequest } from '../transport.ts';
import { checkArguments, masterArguments, READY } from './arguments.ts';
import { lastWords, loginFailure, phaseOf, readLogin } from './log.ts';
import { type SessionContext, spawnHere, startSession } from './session.ts';

/**
 * Runs a command, and ends it when its own standard input ends, which means that fleetctl has ended. The command keeps the
 * terminal for its questions, but ignores Ctrl-C, which is for fleetctl. A shell needs two processes to wait for two
 * events.
 */
const LEASH = `trap '' INT
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
{ read -r _ <&3; kill "$command"; } >/dev/null 2>&1 &
watch=$!
wait "$command"
status=$?
kill "$watch" 2>/dev/null
exit "$status"`;

const CHECK_TIMEOUT_MS = 2000;
/** The maximum size of the log of a master, in bytes. */
const LONGEST_LOG = 100_000;
/** The characters of ssh's output outside its log that are kept. */
const MOST_SAID = 4000;

/**
 * Logs in with ssh(1), which then serves sessions at a socket (ssh_config(5), ControlMaster). Rejects with a
 * FleetError. When ssh may ask the user, ssh alone limits the time: only it can exclude the user's time to answer.
 */
export async function startMaster(
  target: SshTarget,
  jumpHost: Master | undefined,
  context: SessionContext,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Master> {
  if (signal.aborted) throw closedHere(target);
  const socket = await context.folder.newFile('.sock');
  const log = await context.folder.newFile('.log');
  const words = masterArguments(target, context, { socket, log, jumpSocket: jumpHost?.socket });
  const env = { ...context.environment, SHELL: '/bin/sh', LC_ALL: 'C' };
  const program = await spawnHere('/bin/sh', ['-c', LEASH, 'sh', ...words], { stdio: 'pipe', env });
  const child = program as ChildProcessWithoutNullStreams;
  const master = new Master(child, { target, socket, log, context });
  const end = await firstOf(child, context.mayAsk ? undefined : timeoutMs, signal);
  if (end === 'ready') {
    master.login = readLogin(await master.log());
    return master;
  }
  await master.close();
  const text = await master.log();
  if (end === 'aborted') throw closedHere(target);
  if (end === 'late') throw timedOut(target, phaseOf(text));
  if (child.exitCode === 127) {
    const hint = 'Install the OpenSSH client, or leave "transport" out of fleet.conf';
    throw new FleetError('local', 'Cannot start ssh on this computer: there is no such program', { hint });
  }
  throw loginFailure(target, text);
}

type MasterOptions = {
  readonly target: SshTarget;
  readonly socket: string;
  readonly log: string;
  readonly context: SessionContext;
};

/** A ssh that is logged in at a machine and serves sessions. */
export class Master implements PooledConnection {
  readonly closed: Promise<void>;
  login: Login = { address: undefined, credential: undefined };
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #options: MasterOptions;
  #said = '';
  #isClosing: boolean = false;
  #granted = 0;
  #asking = 0;

  constructor(child: ChildProcessWithoutNullStreams, options: MasterOptions) {
    this.#child = child;
    this.#options = options;
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk}`.slice(-MOST_SAID);
    });
    this.closed = new Promise((resolve) => child.once('close', () => resolve()));
  }

  get socket(): string {
    return this.#options.socket;
  }

  async start(request: SessionRequest): Promise<RemoteSession> {
    const { target, context } = this.#options;
    this.#asking++;
    try {
      await shorten(this.#options.log);
      const session = await startSession(this, target, request, context);
      this.#granted++;
      return session;
    } catch (error) {
      const isFirst = this.#granted + this.#asking === 1;
      if (!isFirst || !(error instanceof NoMoreSessions)) throw error;
      throw cannotReach(target, 'ssh-turned-away', 'it granted no session', { hint: MAX_SESSIONS });
    } finally {
      this.#asking--;
    }
  }

  /** Checks whether it still serves sessions. */
  isAlive(): Promise<boolean> {
    return new Promise((resolve) => {
      const check = spawn('ssh', checkArguments(this.socket), { stdio: 'ignore', timeout: CHECK_TIMEOUT_MS });
      check.once('error', () => resolve(false)).once('exit', (status) => resolve(status === 0));
    });
  }

  /** The reason why it has ended; waits until it has. */
  async failure(): Promise<FleetError> {
    await this.closed;
    const { target } = this.#options;
    if (this.#isClosing) return lost(target, 'the connection was closed here');
    return lost(target, lastWords(await this.log()) ?? 'the connection was closed');
  }

  /** The messages of ssh so far. */
  async log(): Promise<string> {
    const log = await readFile(this.#options.log, 'utf8').catch(() => '');
    // Errors of the command line are printed before the log exists.
    return `${log}${this.#said}`;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#child.stdin.destroy();
    await this.closed;
  }
}

/** The log grows by a few lines per session. ssh opened it for appending, so after truncation it continues at the start. */
async function shorten(log: string): Promise<void> {
  const { size } = await stat(log).catch(() => ({ size: 0 }));
  if (size > LONGEST_LOG) await truncate(log);
}

/** Waits until the master accepts sessions, ends, exceeds its time or is aborted. */
function firstOf(
  child: ChildProcessWithoutNullStreams,
  timeoutMs: number | undefined,
  signal: AbortSignal,
): Promise<'ready' | 'ended' | 'late' | 'aborted'> {
  const { promise: first, resolve } = deferred<'ready' | 'ended' | 'late' | 'aborted'>();
  const abort = (): void => resolve('aborted');
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => resolve('late'), timeoutMs);
  signal.addEventListener('abort', abort, { once: true });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
    if (said.includes(READY)) resolve('ready');
  });
  child.once('close', () => resolve('ended'));
  return first.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  });
}
