import type { Duplex } from 'node:stream';
import type { Limit } from '../base/async.ts';
import type { SshTarget } from './target.ts';

/**
 * How a remote command ended: its exit status, or the signal that ended it, such as `SIGTERM`. Over ssh(1), which
 * does not tell the signal, that is status 255.
 */
export type RemoteExit = { readonly status: number } | { readonly signal: string };

/** A command that runs on a machine, with its three streams. */
export interface RemoteProcess {
  /** Writes to the command's standard input, of any length. Does nothing once the command has ended. */
  write(data: string | Uint8Array): void;
  /** Ends the command's standard input. */
  end(): void;
  /**
   * Called with every piece of standard output, from the first on, however late the listener comes: the machine stops
   * sending until then. A listener that returns a promise gets the next piece when that has settled.
   */
  onStdout(listener: SessionListener): void;
  /** The same for standard error. */
  onStderr(listener: SessionListener): void;
  /**
   * Settles when the command has ended and all of its output has been delivered. Rejects with an `ssh-lost`
   * FleetError when the connection went away first: that is never a success. Need not be looked at. Both streams need a
   * listener for it.
   */
  readonly exit: Promise<RemoteExit>;
  /** Closes the session without waiting for the command; `exit` rejects. The command may continue on the machine. */
  close(): void;
}

/** The size of a terminal, in characters. */
export type TerminalSize = { readonly columns: number; readonly rows: number };

/** A command or a shell to run on a machine. */
export type SessionRequest = {
  /** Given to the user's login shell; undefined for that shell itself, as after a login. */
  readonly command: string | undefined;
  /**
   * A terminal over there: standard error comes with standard output then, and what runs is hung up when the
   * session is closed. `term` is the value of TERM. `isHere` says that it is the terminal of this process, which
   * a session may take for itself then: see {@link RemoteSession.hasTerminal}. Undefined to keep the streams apart and every byte as it is.
   */
  readonly terminal:
    | { readonly term: string; readonly size: TerminalSize; readonly isHere?: boolean }
    | undefined;
  /** Whether what runs may sign with the keys of the agent here. */
  readonly forwardAgent: boolean;
  /** Variables for what runs, as far as the machine takes them (sshd_config(5), AcceptEnv). */
  readonly environment?: Readonly<Record<string, string>>;
};

/** A command whose streams are handed on, at the pace of the other end. */
export interface RemoteSession extends RemoteProcess {
  /** Whether it reads and writes the terminal of this process by itself; no other code may do so before its exit. */
  readonly hasTerminal: boolean;
  /** Takes bytes as well; false when it would rather have no more before {@link onDrain}. */
  write(data: string | Uint8Array): boolean;
  /** Called when standard input takes more after {@link write} returned false. */
  onDrain(listener: () => void): void;
  /** Tells the terminal over there its new size. */
  resize(size: TerminalSize): void;
}

export type SessionListener = (chunk: Buffer) => unknown;

/**
 * A way to run commands on machines over SSH. One connection a machine is opened when it is first needed,
 * kept while the transport lives, and shared by all commands on that machine. No more than 32 connections are
 * being opened at any time. Host keys are always verified.
 */
export interface Transport {
  /**
   * Starts `command` with the user's login shell; an idle connection that has died is opened again first.
   * Rejects with a FleetError whose code tells what failed:
   *
   * - `ssh-name`: the host name leads nowhere;
   * - `ssh-refused`: nothing listens, or there is no way;
   * - `ssh-turned-away`: something answers, but it is no SSH server, has no place, or grants no session;
   * - `ssh-local`: this computer cannot try: it has no route, no ssh program, no file descriptors;
   * - `ssh-timeout`: no answer, or no SSH, or no login, or no session in time;
   * - `ssh-host-key`: the host key is unknown, changed or revoked, or a person did not accept it;
   * - `ssh-authentication`: there is no key, or none was accepted;
   * - `ssh-lost`: the connection was there and went away, or the transport is closed.
   */
  exec(target: SshTarget, command: string): Promise<RemoteProcess>;
  /** Closes every connection; commands that run, and those that are being started, are lost. */
  close(): Promise<void>;
}

/** How a connection came about. */
export type Login = {
  /** The address that was connected to; undefined where it is not known. */
  readonly address: string | undefined;
  /** What the user logged in with, in words: the path of a key, or a key of the agent. */
  readonly credential: string | undefined;
};

/** A transport that also opens sessions for people, over the same connections. */
export interface SessionTransport extends Transport {
  /** Starts a session; rejects as {@link Transport.exec} does, with `ssh-turned-away` for what the machine forbids. */
  open(target: SshTarget, request: SessionRequest): Promise<RemoteSession>;
  /** Connects, or uses the connection there is; rejects as {@link Transport.exec} does. */
  login(target: SshTarget): Promise<Login>;
  /**
   * Opens a way to a socket of the file system over there. Rejects as {@link Transport.exec} does, with `ssh-local`
   * also where the way cannot go through the ssh(1) that is installed here.
   */
  socket(target: SshTarget, path: string): Promise<Duplex>;
}

/** A question to the user during a login. The answer to a secret is not shown while it is typed. */
export type Question = { readonly text: string; readonly isSecret: boolean };

/** Asks the person at the terminal; undefined is no answer. */
export type Ask = (question: Question) => Promise<string | undefined>;

/** The same, one question at a time. */
export function oneAtATime(ask: Ask, limit: Limit): Ask {
  return (question) => limit(() => ask(question));
}

/**
 * Tells every process that was started over the transport's connection to the machine to end (SIGTERM), with its
 * whole process group. A command without a terminal is not told by sshd when its connection goes away, and the
 * signal request of SSH does nothing for root before OpenSSH 9.8. So a second session asks who has the same
 * parent as itself: the sshd process of this connection. Rejects when that session fails.
 */
export async function hangUp(transport: Transport, target: SshTarget): Promise<void> {
  const sweep = await transport.exec(target, 'exec /bin/sh -s');
  sweep.onStdout(() => undefined);
  sweep.onStderr(() => undefined);
  sweep.write(SWEEP);
  sweep.end();
  await sweep.exit;
}

/** sshd makes every command a session leader, so its process id is the id of its group. */
const SWEEP = `
for file in $(grep -ls "^PPid:[[:space:]]*$PPID\\$" /proc/[0-9]*/status); do
  process=\${file#/proc/}
  process=\${process%/status}
  [ "$process" = "$$" ] || kill -s TERM -- "-$process"
done
`;
