import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFile, stat, truncate } from 'node:fs/promises';
import { FleetError } from '../../base/errors.ts';
import type { PooledConnection, TurnedAway } from '../connection-pool.ts';
import { cannotReach, closedHere, lost, MAX_SESSIONS, NoMoreSessions, timedOut } from '../failure.ts';
import type { SshTarget } from '../target.ts';
import type { Login, RemoteSession, SessionRequest } from '../transport.ts';
import { checkArguments, masterArguments, READY } from './arguments.ts';
import { lastWords, loginFailure, phaseOf, readLogin } from './log.ts';
import { type SessionContext, spawnHere, startSession } from './session.ts';

/**
 * Ends the command that it is given when its own standard input does: then fleetctl is gone, however it ended. The
 * command keeps the terminal, for its questions, but not Ctrl-C, which is for fleetctl. A shell has no better way
 * to wait for two things than two processes.
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
/** How long the log of a master may get, in bytes. */
const LONGEST_LOG = 100_000;
/** How much is kept of what ssh says outside its log, in characters. */
const MOST_SAID = 4000;

export type MasterOutcome = { readonly kind: 'open'; readonly master: Master } | TurnedAway;

/**
 * Logs in with ssh(1), which then serves sessions at a socket (ssh_config(5), ControlMaster). Rejects with a
 * FleetError. When ssh may ask a person, only ssh itself watches the time, because it knows what it waits for.
 */
export async function startMaster(
  target: SshTarget,
  jumpHost: Master | undefined,
  context: SessionContext,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<MasterOutcome> {
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
    return { kind: 'open', master };
  }
  await master.close();
  const text = await master.log();
  if (end === 'aborted') throw closedHere(target);
  if (end === 'late') throw timedOut(target, phaseOf(text));
  if (child.exitCode === 127) {
    const hint = 'Install the OpenSSH client, or leave "transport" out of fleet.conf';
    throw new FleetError('local', 'Cannot start ssh on this computer: there is no such program', { hint });
  }
  const { error, isTurnedAway } = loginFailure(target, text);
  if (isTurnedAway) return { kind: 'turned-away', error };
  throw error;
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

  /** Whether it still serves sessions. */
  isAlive(): Promise<boolean> {
    return new Promise((resolve) => {
      const check = spawn('ssh', checkArguments(this.socket), { stdio: 'ignore', timeout: CHECK_TIMEOUT_MS });
      check.once('error', () => resolve(false)).once('exit', (status) => resolve(status === 0));
    });
  }

  /** Why it is gone; waits until that is known. */
  async failure(): Promise<FleetError> {
    await this.closed;
    const { target } = this.#options;
    if (this.#isClosing) return lost(target, 'the connection was closed here');
    return lost(target, lastWords(await this.log()) ?? 'the connection was closed');
  }

  /** What ssh has said so far. */
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

/** A master of a process that lives for long writes a few lines a session. ssh appends, so it continues at the start. */
async function shorten(log: string): Promise<void> {
  const { size } = await stat(log).catch(() => ({ size: 0 }));
  if (size > LONGEST_LOG) await truncate(log);
}

/** Waits for the master to take sessions, to end, to be late or to be given up. */
function firstOf(
  child: ChildProcessWithoutNullStreams,
  timeoutMs: number | undefined,
  signal: AbortSignal,
): Promise<'ready' | 'ended' | 'late' | 'aborted'> {
  let timer: NodeJS.Timeout | undefined;
  let abort: () => void = () => undefined;
  const first = new Promise<'ready' | 'ended' | 'late' | 'aborted'>((resolve) => {
    abort = (): void => resolve('aborted');
    if (timeoutMs !== undefined) timer = setTimeout(() => resolve('late'), timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk;
      if (said.includes(READY)) resolve('ready');
    });
    child.once('close', () => resolve('ended'));
  });
  return first.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  });
}
