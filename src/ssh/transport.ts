/** How to reach one machine. `name` is the machine's name in fleet.conf, for messages. */
export type SshTarget = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /**
   * Path of the private key; the agent signs when the file is encrypted or holds the public half only. Without
   * one, the agent's keys and then OpenSSH's default key files are tried.
   */
  readonly identityFile: string | undefined;
  /** What to do about a host that was never seen before. A host whose key has changed is always refused. */
  readonly strictHostKeyChecking: 'ask' | 'accept-new';
  /**
   * From the first packet to the login, in ms, and again from asking for a session to having it. Time spent
   * asking a person does not count.
   */
  readonly connectTimeoutMs: number;
  /** A connection over which nothing has come for this long, in ms, not even the answer to a ping, is lost. */
  readonly keepaliveTimeoutMs: number;
};

/** How a remote command ended: its exit status, or the signal that ended it, such as `SIGTERM`. */
export type RemoteExit = { readonly status: number } | { readonly signal: string };

/** A command that runs on a machine, with its three streams. */
export interface RemoteProcess {
  /** Writes to the command's standard input, of any length. Does nothing once the command has ended. */
  write(text: string): void;
  /** Ends the command's standard input. */
  end(): void;
  /** Called with every piece of standard output, from the first on, however late the listener comes. */
  onStdout(listener: (chunk: Buffer) => void): void;
  /** The same for standard error. */
  onStderr(listener: (chunk: Buffer) => void): void;
  /**
   * Settles when the command has ended and all of its output has been delivered. Rejects with an `ssh-lost`
   * FleetError when the connection went away first: that is never a success. Need not be looked at.
   */
  readonly exit: Promise<RemoteExit>;
  /** Lets go of the command without waiting for it; `exit` rejects. The command may go on running over there. */
  close(): void;
}

/**
 * A way to run commands on machines over SSH. One connection a machine is opened when it is first needed,
 * kept while the transport lives, and shared by all commands on that machine. No more than 32 connections are
 * being opened at any time. Host keys are always verified.
 */
export interface Transport {
  /**
   * Starts `command` with the user's login shell; an idle connection that has died is opened anew first.
   * Rejects with a FleetError whose code tells what failed:
   *
   * - `ssh-name`: the host name leads nowhere;
   * - `ssh-refused`: nothing listens, there is no way, it is no SSH server, or it grants no session;
   * - `ssh-timeout`: no answer, or no SSH, or no login, or no session in time;
   * - `ssh-host-key`: the host key is unknown, changed or revoked, or a person did not accept it;
   * - `ssh-authentication`: there is no key, or none was accepted;
   * - `ssh-lost`: the connection was there and went away, or the transport is closed.
   */
  exec(target: SshTarget, command: string): Promise<RemoteProcess>;
  /** Closes every connection; commands that run, and those that are being started, are lost. */
  close(): Promise<void>;
}
