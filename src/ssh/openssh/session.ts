import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { causeText, FleetError, remedyOf } from '../../base/errors.ts';
import { cannotReach, lost, NoMoreSessions, slowSession, Unsent } from '../failure.ts';
import { StreamSession } from '../stream-session.ts';
import type { SshTarget } from '../target.ts';
import type { RemoteSession, SessionRequest } from '../transport.ts';
import { type Program, sessionArguments } from './arguments.ts';
import type { PrivateFolder } from './folder.ts';
import { isGranted, isRefused, lastWords } from './log.ts';

/** Where ssh runs. */
export type SessionContext = Program & {
  readonly folder: PrivateFolder;
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** A ssh that serves sessions at a socket. */
type Server = {
  readonly socket: string;
  readonly isAlive: () => Promise<boolean>;
  readonly failure: () => Promise<FleetError>;
};

/** The interval, in ms, at which the log of a session is read until the session is granted: only the log shows it. */
const LOOK_MS = 5;

/**
 * Starts a session over a master, and returns when the machine has granted it. Rejects with {@link NoMoreSessions} if the
 * machine refuses it, and with {@link Unsent} if the master has ended.
 */
export async function startSession(
  master: Server,
  target: SshTarget,
  request: SessionRequest,
  { folder, environment }: SessionContext,
): Promise<RemoteSession> {
  const log = await folder.newFile('.log');
  const hasTerminal = request.terminal?.isHere === true;
  const term = request.terminal === undefined ? {} : { TERM: request.terminal.term };
  const child = await spawnHere('ssh', sessionArguments(request, { socket: master.socket, log }), {
    stdio: hasTerminal ? 'inherit' : 'pipe',
    // Ctrl-C signals all processes of the terminal; a session must survive it, unless the session has the terminal.
    detached: !hasTerminal,
    env: { ...environment, ...request.environment, ...term },
  });
  const session = new ChildSession(child, target, master, hasTerminal);
  const state = await untilGranted(child, log, target.connectTimeoutMs);
  const words = lastWords(await readFile(log, 'utf8').catch(() => ''));
  await rm(log, { force: true });
  if (state === 'granted') return session;
  session.close();
  if (state === 'refused') throw new NoMoreSessions(target, undefined);
  if (state === 'late') throw slowSession(target);
  if (!(await master.isAlive())) throw new Unsent(await master.failure());
  throw cannotReach(target, 'ssh-turned-away', `it granted no session: ${words ?? 'ssh gave no reason'}`);
}

type State = 'granted' | 'refused' | 'late' | 'gone';

async function untilGranted(child: ChildProcess, log: string, timeoutMs: number): Promise<State> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
    const text = await readFile(log, 'utf8').catch(() => '');
    if (isGranted(text)) return 'granted';
    if (isRefused(text)) return 'refused';
    if (hasEnded) return 'gone';
    if (performance.now() > end) return 'late';
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** A command over a session of a master; its streams are those of the local ssh process. */
class ChildSession extends StreamSession {
  override readonly hasTerminal: boolean;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, target: SshTarget, master: Server, hasTerminal: boolean) {
    const { stdin, stdout, stderr } = child;
    const none = new PassThrough().end();
    super(target, { stdin: stdin ?? none, stdout: stdout ?? none, stderr: stderr ?? none });
    this.hasTerminal = hasTerminal;
    this.#child = child;
    child.on('error', () => undefined);
    child.once('close', (status) => void this.#ended(status, target, master));
  }

  /** ssh reads the size of the terminal itself. */
  resize(): void {
    // Without a terminal there is no size.
  }

  protected letGo(): void {
    this.#child.kill();
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy();
  }

  protected breakOff(): void {
    // ssh has ended, and its pipes are closed.
  }

  /** ssh exits with 255 when it has no exit status; it is the status of the command only if the connection still exists. */
  async #ended(status: number | null, target: SshTarget, master: Server): Promise<void> {
    if (status !== null && status !== 255) this.over({ status });
    else if (!(await master.isAlive())) this.over(await master.failure());
    else this.over(status === null ? lost(target, 'its ssh was killed') : { status });
  }
}

/**
 * Starts a program on this computer; resolves when it has started. Rejects with FleetError `local` when it
 * cannot be started, because descriptors, processes or the program are missing.
 */
export async function spawnHere(
  program: string,
  words: readonly string[],
  options: SpawnOptions,
): Promise<ChildProcess> {
  const child = spawn(program, words, options);
  if (child.pid !== undefined) return child;
  const [cause] = (await once(child, 'error')) as [Error];
  const what = `Cannot start ${program} on this computer: ${causeText(cause)}`;
  throw new FleetError('local', what, { hint: remedyOf(cause), cause });
}
