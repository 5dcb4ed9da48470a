import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { deferred, withTimeout } from '../base/async.ts';
import type { FleetError } from '../base/errors.ts';
import type { Machine } from '../machine/machine.ts';
import { hangUp, type RemoteExit, type RemoteSession, type TerminalSize } from '../ssh/transport.ts';
import type { SshAccess } from './context.ts';
import { takeOver } from './signals.ts';
import { cannotWrite, errorStream, outputStream, type Streams } from './streams.ts';

/** The three streams of this process. */
export type Stdio = {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };
  readonly stdout: Writable & {
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  readonly stderr: Writable;
};

/** The end of a session: its remote exit, a signal to this process, or output that cannot be written. */
export type SessionEnd =
  | { readonly kind: 'exit'; readonly exit: RemoteExit }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'unread' }
  | { readonly kind: 'unwritten'; readonly error: FleetError };

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The size of the terminal of `stdout`; 80 by 24 if it is none. */
export function terminalSize({ columns = 80, rows = 24 }: Stdio['stdout']): TerminalSize {
  return { columns, rows };
}

/**
 * Connects the streams with a session until it ends, byte by byte, and in raw mode if it has a terminal. They are
 * restored at the end, and if the process exits before. Rejects as the session's exit does.
 */
export async function runSession(
  session: RemoteSession,
  stdio: Stdio,
  { terminal }: { readonly terminal: boolean },
): Promise<SessionEnd> {
  const { promise: stopped, resolve: stop } = deferred<SessionEnd>();
  const undo = [
    ...SIGNALS.map((signal) => takeOver(process, signal, () => stop({ kind: 'signal', signal }))),
    ...[stdio.stdout, stdio.stderr].map((stream) =>
      takeOver(stream, 'error', (error: NodeJS.ErrnoException) =>
        stop(error.code === 'EPIPE' ? { kind: 'unread' } : { kind: 'unwritten', error: cannotWrite(error) }),
      ),
    ),
    ...(session.hasTerminal || !terminal ? [] : [joinTerminals(session, stdio)]),
    ...(session.hasTerminal ? [] : [feed(session, stdio.stdin)]),
  ];
  try {
    session.onStdout((chunk) => pass(chunk, stdio.stdout));
    session.onStderr((chunk) => pass(chunk, stdio.stderr));
    const exit = session.exit.then((exit): SessionEnd => ({ kind: 'exit', exit }));
    return await Promise.race([exit, stopped]);
  } finally {
    for (const step of undo.toReversed()) step();
  }
}

/**
 * The exit status of a session, as of a shell: 128 plus the number of a signal. Throws the error of an output that could
 * not be written.
 */
export function sessionStatus(end: SessionEnd): number {
  if (end.kind === 'unwritten') throw end.error;
  if (end.kind === 'unread') return 0;
  if (end.kind === 'signal') return signalStatus(end.signal);
  return 'status' in end.exit ? end.exit.status : signalStatus(end.exit.signal);
}

function signalStatus(signal: string): number {
  const number = (constants.signals as Readonly<Record<string, number>>)[signal];
  return number === undefined ? 255 : 128 + number;
}

/** Sets raw mode, because the remote terminal interprets the keys, and reports the size of the window. */
function joinTerminals(session: RemoteSession, { stdin, stdout }: Stdio): () => void {
  const resize = (): void => session.resize(terminalSize(stdout));
  const setRaw = (isRaw: boolean): void => {
    if (stdin.isTTY === true) stdin.setRawMode?.(isRaw);
  };
  const restore = (): void => setRaw(false);
  setRaw(true);
  process.once('exit', restore);
  stdout.on('resize', resize);
  return () => {
    stdout.off('resize', resize);
    process.off('exit', restore);
    restore();
  };
}

/** Forwards standard input while the session accepts it. */
function feed(session: RemoteSession, stdin: Stdio['stdin']): () => void {
  const write = (chunk: Buffer): void => {
    if (!session.write(chunk)) stdin.pause();
  };
  const end = (): void => session.end();
  let isOver = false;
  session.onDrain(() => {
    if (!isOver) stdin.resume();
  });
  // A terminal that was closed is an error of its stream, and ends the input too.
  stdin.on('data', write).on('end', end).on('error', end);
  return () => {
    isOver = true;
    stdin.off('data', write).off('end', end).pause();
  };
}

/** Writes a piece of output; returns a promise if the next piece must wait. */
function pass(chunk: Buffer, stream: Writable): Promise<void> | undefined {
  if (stream.write(chunk)) return undefined;
  return new Promise((resolve) => {
    const goOn = (): void => {
      stream.off('drain', goOn).off('close', goOn);
      resolve();
    };
    stream.on('drain', goOn).on('close', goOn);
  });
}

/** What to run on a machine. */
export type LoginRequest = {
  /** A line for the login shell; undefined for that shell itself. */
  readonly command: string | undefined;
  /** Whether a command gets a terminal too. */
  readonly tty: boolean;
  readonly forwardAgent: boolean;
};

/** The time limit for ending what runs on the machine, in ms. */
const HANG_UP_MS = 3000;

/**
 * Connects the streams of this process with a command or a shell on a machine, and returns its exit status. A signal
 * ends both. A shell gets a terminal if there is one here.
 */
export async function logIn(
  { transport, targetOf }: SshAccess,
  machine: Machine,
  { command, tty, forwardAgent }: LoginRequest,
  { env, err }: Streams,
): Promise<number> {
  const target = targetOf(machine);
  const isPerson = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const terminal =
    tty || (command === undefined && isPerson)
      ? { term: env.TERM ?? 'dumb', size: terminalSize(process.stdout), isHere: isPerson }
      : undefined;
  const session = await transport.open(target, {
    command,
    terminal,
    forwardAgent: forwardAgent || (target.forwardAgent && target.identityAgent !== undefined),
    environment: target.environment,
  });
  const stdio = { stdin: process.stdin, stdout: outputStream(), stderr: errorStream() };
  const end = await runSession(session, stdio, { terminal: terminal !== undefined });
  if (end.kind === 'exit') return sessionStatus(end);
  session.close();
  // With a terminal the machine itself hangs up.
  if (terminal === undefined && !(await hangsUp(hangUp(transport, target))))
    err(`Warning: what was started on machine "${machine.name}" may continue there\n`);
  return sessionStatus(end);
}

/** Whether the end of a session was reported within the time limit. */
function hangsUp(work: Promise<void>): Promise<boolean> {
  const done = work.then(
    () => true,
    () => false,
  );
  return withTimeout(HANG_UP_MS, done, () => false);
}
