/** How to reach one machine. `name` is the machine's name in fleet.conf, for messages. */
export type SshTarget = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Private key file; without one the agent and then OpenSSH's default key files are tried. */
  readonly identityFile: string | undefined;
  readonly strictHostKeyChecking: 'ask' | 'accept-new';
  /** From the first packet to a session that is ready, in ms; time spent asking a person does not count. */
  readonly connectTimeoutMs: number;
  /** A connection that has not answered for this long while in use is lost, in ms. */
  readonly keepaliveTimeoutMs: number;
};

/** How a remote command ended: its exit status, or the signal that ended it. */
export type RemoteExit = { readonly status: number } | { readonly signal: string };

/** A command that runs on a machine, with its three streams. */
export interface RemoteProcess {
  /** Writes to the command's standard input. Does nothing once the command has ended. */
  write(text: string): void;
  /** Ends the command's standard input. */
  end(): void;
  /** Called with every piece of standard output, from the first on. */
  onStdout(listener: (chunk: Buffer) => void): void;
  /** Called with every piece of standard error, from the first on. */
  onStderr(listener: (chunk: Buffer) => void): void;
  /**
   * Settles when the command has ended and all of its output has been delivered. Rejects with an `ssh-lost`
   * FleetError when the connection went away first: that is never a success.
   */
  readonly exit: Promise<RemoteExit>;
  /** Lets go of the command without waiting for it; `exit` rejects. */
  close(): void;
}

/**
 * A way to run commands on machines over SSH. One connection a machine is opened when it is first needed,
 * kept while the transport lives, and shared by all commands on that machine. No more than 32 connections are
 * being opened at any time. Host keys are always verified.
 */
export interface Transport {
  /**
   * Starts `command` with the user's login shell. Rejects with a FleetError whose code tells what failed:
   * `ssh-name`, `ssh-refused`, `ssh-timeout`, `ssh-host-key`, `ssh-authentication` or `ssh-lost`.
   */
  exec(target: SshTarget, command: string): Promise<RemoteProcess>;
  /** Closes every connection. */
  close(): Promise<void>;
}
