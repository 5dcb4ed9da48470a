import type { Machine } from '../machine/machine.ts';
import { hangUp } from '../ssh/hang-up.ts';
import type { SshAccess } from './context.ts';
import { runSession, sessionStatus, terminalSize } from './remote-session.ts';
import type { Streams } from './streams.ts';

/** What a person wants on a machine. */
export type Wish = {
  /** A line for the login shell; undefined for that shell itself. */
  readonly command: string | undefined;
  /** Whether a command gets a terminal too. */
  readonly tty: boolean;
  readonly forwardAgent: boolean;
};

/** How long what runs on the machine may take to be told that it is over, in ms. */
const HANG_UP_MS = 3000;

/**
 * Joins the streams of this process with a command or a shell on a machine, and returns its exit status. A signal
 * ends both; a shell gets a terminal where there is one here.
 */
export async function logIn(
  { transport, targetOf }: SshAccess,
  machine: Machine,
  { command, tty, forwardAgent }: Wish,
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
  const end = await runSession(session, process, { terminal: terminal !== undefined });
  if (end.kind === 'exit') return sessionStatus(end);
  session.close();
  // With a terminal the machine itself hangs up.
  if (terminal === undefined && !(await within(HANG_UP_MS, hangUp(transport, target))))
    err(`Warning: what was started on machine "${machine.name}" may go on there\n`);
  return sessionStatus(end);
}

/** Whether the work was done in that time, in ms. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const done = work.then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
