/** How to reach one machine, with everything decided: nothing is looked up any more. Paths are absolute. */
export type SshTarget = {
  /** The machine's name in fleet.conf, or a jump host's as it was written, for messages. */
  readonly name: string;
  /** The name or address to connect to. */
  readonly host: string;
  /** The host as it was written, which ssh(1) looks for in its own files; `host` where it is not given. */
  readonly alias?: string;
  readonly port: number;
  readonly user: string;
  readonly via: Via;
  readonly transport: 'ssh2' | 'openssh';

  /**
   * Paths of private keys, in the order to try them; the agent signs when a file is encrypted or holds the
   * public half only. With none, OpenSSH's default key files.
   */
  readonly identityFiles: readonly string[];
  /** Only the keys of {@link identityFiles}, which have to be there then; else the agent's other keys as well. */
  readonly identitiesOnly: boolean;
  /** Path of the agent's socket. */
  readonly identityAgent: string | undefined;
  /** Certificates for keys of {@link identityFiles} or of the agent, beside those at `IDENTITY-cert.pub`. */
  readonly certificateFiles: readonly string[];
  /** The ways to log in that may be used, best first. */
  readonly preferredAuthentications: readonly AuthenticationMethod[];
  /** Whether a person may be asked for a password, or for what the machine asks; only where that is wanted. */
  readonly passwordAuthentication: boolean;
  /** How often a person may be asked for one password. */
  readonly numberOfPasswordPrompts: number;
  /** No question is asked. */
  readonly batchMode: boolean;

  /** What to do about a host that was never seen before. A host whose key has changed is always refused. */
  readonly strictHostKeyChecking: 'ask' | 'accept-new' | 'yes';
  /** Files of known hosts that are read, all of them; new keys are written to the first. */
  readonly userKnownHostsFiles: readonly string[];
  /** Files of known hosts that are only read. */
  readonly globalKnownHostsFiles: readonly string[];
  /** The name under which the host stands in these files, instead of {@link host} and {@link port}. */
  readonly hostKeyAlias: string | undefined;
  /** Whether new keys are written with the name hashed. */
  readonly hashKnownHosts: boolean;

  readonly algorithms: Algorithms;
  readonly addressFamily: 'any' | 'inet' | 'inet6';
  /** The local address to connect from. */
  readonly bindAddress: string | undefined;
  readonly compression: boolean;
  /**
   * From the first packet to the login, in ms, and again from asking for a session to having it. Time spent
   * asking a person does not count.
   */
  readonly connectTimeoutMs: number;
  /** A connection over which nothing has come for this long, in ms, not even the answer to a ping, is lost. */
  readonly keepaliveTimeoutMs: number;

  /** Whether a person's sessions may use the agent here. */
  readonly forwardAgent: boolean;
  /** Variables for the sessions of people. */
  readonly environment: Readonly<Record<string, string>>;
};

/** What carries the connection. */
export type Via =
  | { readonly kind: 'direct' }
  /**
   * Other hosts, at least one, from here on: the first is reached by its own `via`, which is no `jump`, every
   * other one and then the target through the one before it.
   */
  | { readonly kind: 'jump'; readonly jumps: readonly SshTarget[] }
  /** The standard streams of a command, for the shell, with every token expanded. */
  | { readonly kind: 'command'; readonly command: string };

export type AuthenticationMethod = 'publickey' | 'keyboard-interactive' | 'password';

/** Names as OpenSSH writes them, best first; undefined for what the transport offers by itself. */
export type Algorithms = {
  readonly kex: readonly string[] | undefined;
  readonly ciphers: readonly string[] | undefined;
  readonly macs: readonly string[] | undefined;
  readonly hostKeys: readonly string[] | undefined;
};

/** The defaults of a target. */
export const TARGET_DEFAULTS = {
  port: 22,
  via: { kind: 'direct' },
  transport: 'ssh2',
  identityFiles: [],
  identitiesOnly: false,
  identityAgent: undefined,
  certificateFiles: [],
  preferredAuthentications: ['publickey'],
  passwordAuthentication: false,
  numberOfPasswordPrompts: 3,
  batchMode: false,
  strictHostKeyChecking: 'ask',
  userKnownHostsFiles: [],
  globalKnownHostsFiles: [],
  hostKeyAlias: undefined,
  hashKnownHosts: false,
  algorithms: { kex: undefined, ciphers: undefined, macs: undefined, hostKeys: undefined },
  addressFamily: 'any',
  bindAddress: undefined,
  compression: false,
  connectTimeoutMs: 5000,
  keepaliveTimeoutMs: 15_000,
  forwardAgent: false,
  environment: {},
} as const satisfies Omit<SshTarget, 'name' | 'host' | 'user'>;
