import type { Duplex } from 'node:stream';
import type { SshTarget } from './target.ts';

/**
 * How a remote command ended: its exit status, or the signal that ended it, such as `SIGTERM`. Over ssh(1), which
 * does not report the signal, it is status 255.
 */
export type RemoteExit = { readonly status: number } | { readonly signal: string };

/** A command that runs on a machine, with its three streams. */
export interface RemoteProcess {
  /** Writes to the command's standard input, of any length. Does nothing once the command has ended. */
  write(data: string | Uint8Array): void;
  /** Ends the command's standard input. */
  end(): void;
  /**
   * Called with every piece of standard output, from the first on: the machine stops sending until there is a listener.
   * A listener that returns a promise gets the next piece when the promise has settled.
   */
  onStdout(listener: SessionListener): void;
  /** The same for standard error. */
  onStderr(listener: SessionListener): void;
  /**
   * Settles when the command has ended and all of its output has been delivered. Rejects with an `ssh-lost`
   * FleetError when the connection was lost first: that is never a success. Callers may ignore it. It settles only if
   * both streams have a listener.
   */
  readonly exit: Promise<RemoteExit>;
  /** Closes the session without waiting for the command; `exit` rejects. The command may continue on the machine. */
  close(): void;
}

/** The size of a terminal, in characters. */
export type TerminalSize = { readonly columns: number; readonly rows: number };

/** A command or a shell to run on a machine. */
export type SessionRequest = {
  /** The command line for the user's login shell; undefined for an interactive login shell. */
  readonly command: string | undefined;
  /**
   * A terminal on the machine: standard error then comes with standard output, and the command gets SIGHUP when the
   * session is closed. `term` is the value of TERM. `isHere`: it is the terminal of this process, which the session may
   * then use directly, see {@link RemoteSession.hasTerminal}. Undefined: separate streams, all bytes unchanged.
   */
  readonly terminal:
    | { readonly term: string; readonly size: TerminalSize; readonly isHere?: boolean }
    | undefined;
  /** Whether the command may sign with the keys of the local agent. */
  readonly forwardAgent: boolean;
  /** Environment variables, as far as the machine accepts them (sshd_config(5), AcceptEnv). */
  readonly environment?: Readonly<Record<string, string>>;
};

/** A command whose streams are passed on with flow control. */
export interface RemoteSession extends RemoteProcess {
  /** Whether it uses the terminal of this process directly; no other code may do so before its exit. */
  readonly hasTerminal: boolean;
  /** Accepts bytes as well; false when the caller should wait for {@link onDrain}. */
  write(data: string | Uint8Array): boolean;
  /** Called when standard input accepts more after {@link write} returned false. */
  onDrain(listener: () => void): void;
  /** Sets a new size of the terminal on the machine. */
  resize(size: TerminalSize): void;
}

export type SessionListener = (chunk: Buffer) => unknown;

/**
 * Runs commands on machines over SSH. The connection to a machine is opened when it is first needed, kept until the
 * transport is closed, and shared by all commands on that machine. At most 32 connections are being opened at any time.
 * Host keys are always verified.
 */
export interface Transport {
  /**
   * Starts `command` with the user's login shell; an idle connection that has died is opened again first.
   * Rejects with a FleetError; its code is the kind of failure:
   *
   * - `ssh-name`: the host name does not resolve;
   * - `ssh-refused`: nothing listens on the port, or there is no route;
   * - `ssh-turned-away`: the server is not an SSH server, refuses the client for now, or grants no session;
   * - `ssh-local`: this computer cannot try: it has no route, no ssh program, no file descriptors;
   * - `ssh-timeout`: no answer, or no SSH, or no login, or no session in time;
   * - `ssh-host-key`: the host key is unknown, changed or revoked, or the user did not accept it;
   * - `ssh-authentication`: there is no key, or none was accepted;
   * - `ssh-lost`: an open connection was lost, or the transport is closed.
   */
  exec(target: SshTarget, command: string): Promise<RemoteProcess>;
  /**
   * A transport without connections: what it runs first at a machine proves that a new login there is possible. It has
   * the same keys and known hosts, and is closed by its user.
   */
  fresh(): Transport;
  /** Closes every connection; commands that run, and those that are being started, are lost. */
  close(): Promise<void>;
}

/** The details of a connection. */
export type Login = {
  /** The remote address; undefined if it is not known. */
  readonly address: string | undefined;
  /** The credential of the login, for messages: the path of a key, or a key of the agent. */
  readonly credential: string | undefined;
};

/** A transport that also opens interactive sessions, over the same connections. */
export interface SessionTransport extends Transport {
  /** Starts a session; rejects as {@link Transport.exec} does, with `ssh-turned-away` if the machine forbids it. */
  open(target: SshTarget, request: SessionRequest): Promise<RemoteSession>;
  /** Connects, or uses the existing connection; rejects as {@link Transport.exec} does. */
  login(target: SshTarget): Promise<Login>;
  /**
   * Connects to a Unix socket on the machine. Rejects as {@link Transport.exec} does, and with `ssh-local` if the
   * transport is ssh(1), which cannot do it.
   */
  socket(target: SshTarget, path: string): Promise<Duplex>;
  fresh(): SessionTransport;
}

/** A question to the user during a login. The answer to a secret is not shown while it is typed. */
export type Question = { readonly text: string; readonly isSecret: boolean };

/** Asks the user at the terminal; undefined is no answer. */
export type Ask = (question: Question) => Promise<string | undefined>;

/**
 * Sends SIGTERM to every process that was started over the transport's connection to the machine, with its whole process
 * group. sshd sends no signal to a command without a terminal when its connection is lost, and the signal request of SSH
 * has no effect for root before OpenSSH 9.8. Therefore a second session finds the processes with its own parent: the
 * sshd process of this connection. Rejects when that session fails.
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
