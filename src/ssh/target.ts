/** The connection settings of one machine, complete: no other configuration is read. Paths are absolute. */
export type SshTarget = {
  /** The machine's name in fleet.conf, or a jump host's as it was written, for messages. */
  readonly name: string;
  /** The name or address to connect to. */
  readonly host: string;
  /** The host as it was written, for ssh(1) to find in its own files; default: `host`. */
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
  /** Only the keys of {@link identityFiles}, which must exist; otherwise the agent's other keys as well. */
  readonly identitiesOnly: boolean;
  /** Path of the agent's socket. */
  readonly identityAgent: string | undefined;
  /** Certificates for keys of {@link identityFiles} or of the agent, beside those at `IDENTITY-cert.pub`. */
  readonly certificateFiles: readonly string[];
  /** The ways to log in that may be used, best first. */
  readonly preferredAuthentications: readonly AuthenticationMethod[];
  /** Whether the user may be asked for a password, or the questions of the machine. */
  readonly passwordAuthentication: boolean;
  /** How often the user may be asked for one password. */
  readonly numberOfPasswordPrompts: number;
  /** The user is asked nothing. */
  readonly batchMode: boolean;

  /** What to do with the key of an unknown host. A host whose key has changed is always refused. */
  readonly strictHostKeyChecking: 'ask' | 'accept-new' | 'yes';
  /** Files of known hosts that are read, all of them; new keys are written to the first. */
  readonly userKnownHostsFiles: readonly string[];
  /** Files of known hosts that are only read. */
  readonly globalKnownHostsFiles: readonly string[];
  /** The name of the host in these files, instead of {@link host} and {@link port}. */
  readonly hostKeyAlias: string | undefined;
  /** Whether new keys are written with the name hashed. */
  readonly hashKnownHosts: boolean;

  readonly algorithms: Algorithms;
  readonly addressFamily: 'any' | 'inet' | 'inet6';
  /** The local address to connect from. */
  readonly bindAddress: string | undefined;
  readonly compression: boolean;
  /**
   * The timeout from the first packet to the login, in ms, and again from requesting a session to getting it. Time spent
   * asking the user does not count.
   */
  readonly connectTimeoutMs: number;
  /** A connection is lost when nothing was received for this long, in ms, not even the answer to a ping. */
  readonly keepaliveTimeoutMs: number;

  /** Whether interactive sessions may use the local agent. */
  readonly forwardAgent: boolean;
  /** Variables for interactive sessions. */
  readonly environment: Readonly<Record<string, string>>;
};

/** The connection below SSH. */
export type Via =
  | { readonly kind: 'direct' }
  /**
   * Other hosts, at least one, in the order of the connection: the first is reached by its own `via`, which is no
   * `jump`; every other one, and then the target, through the host before it.
   */
  | { readonly kind: 'jump'; readonly jumps: readonly SshTarget[] }
  /** The standard streams of a command, for the shell, with every token expanded. */
  | { readonly kind: 'command'; readonly command: string };

export type AuthenticationMethod = 'publickey' | 'keyboard-interactive' | 'password';

/** Names as OpenSSH writes them, best first; undefined for the defaults of the transport. */
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
