import { spawn } from 'node:child_process';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import ssh2, { type AuthContext, type ServerChannel } from 'ssh2';
import { type Attack, HostileShell, type Wire } from './hostile-machine.ts';

/** Deliberate misbehaviour of the server. */
export type Misbehaviour =
  /** Refuses every login. */
  | { readonly kind: 'refuse-authentication' }
  /** Accepts connections and sends nothing. */
  | { readonly kind: 'never-answer' }
  /** Cuts the connection once commands have written this many bytes to standard output. */
  | { readonly kind: 'drop-after'; readonly bytes: number }
  /** Waits this long before every command. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Refuses every session, like a server at its MaxSessions. */
  | { readonly kind: 'refuse-sessions' }
  /** Sends 64 MiB instead of the output of a command, and ignores the window of the channel. */
  | { readonly kind: 'ignore-window' }
  /** Refuses terminals and agent forwarding. */
  | { readonly kind: 'refuse-extras' };

export type SshdOptions = {
  /** Private host keys in a format that ssh2 reads; a new ed25519 key by default. */
  readonly hostKeys?: readonly string[];
  /** Authorized public keys; all by default. The signature is always checked. */
  readonly acceptedKeys?: readonly string[];
  /** The only user that may log in; all by default. */
  readonly user?: string;
  readonly misbehaviour?: Misbehaviour;
  /** Answers scripts instead of a shell. */
  readonly attack?: () => Attack;
};

export type Sshd = {
  readonly host: string;
  readonly port: number;
  /** The public host keys in the format of known_hosts: type, space, base64. */
  readonly hostKeys: readonly string[];
  /** The number of accepted TCP connections. */
  connections(): number;
  /** The number of open TCP connections. */
  openConnections(): number;
  /** Every command that a client requested, in order, whether it ran or not. */
  execs(): readonly string[];
  /** Other requests of clients, in order: `pty xterm 80x24`, `window 100x40`, `agent`, `shell`. */
  requests(): readonly string[];
  /** The numbers of started and of running commands. */
  commands(): { readonly started: number; readonly running: number };
  /** Users in the order of their logins. */
  logins(): readonly string[];
  /** Closes every connection and keeps listening. */
  cut(): void;
  /** Stops reading from the open connections, like a stopped process or a broken cable. */
  stall(): void;
  /** Kills running commands, closes every connection and stops listening. */
  close(): Promise<void>;
};

type KeyPair = { readonly private: string; readonly public: string };

/** A new key pair in OpenSSH's formats. */
export function newKey(type: 'ed25519' | 'ecdsa' | 'rsa' = 'ed25519', passphrase?: string): KeyPair {
  const { generateKeyPairSync } = ssh2.utils;
  const lock: object = passphrase === undefined ? {} : { passphrase, cipher: 'aes256-ctr', rounds: 1 };
  // The fewest that OpenSSH takes: twice as many take up to a second.
  if (type === 'rsa') return generateKeyPairSync('rsa', { bits: 1024, ...lock });
  if (type === 'ecdsa') return generateKeyPairSync('ecdsa', { bits: 256, ...lock });
  // ssh2 writes one ed25519 key in 256 wrong: it drops a zero byte at the start of the public half.
  for (let attempt = 0; attempt < 10; attempt++) {
    const pair = generateKeyPairSync('ed25519', { ...lock });
    if (!(ssh2.utils.parseKey(pair.public) instanceof Error)) return pair;
  }
  throw new Error('ssh2 made ten ed25519 keys that it cannot read');
}

/**
 * An SSH server in this process, on a loopback address, that runs commands with a real `/bin/sh` and returns their
 * streams, exit statuses and signals. A limit of ssh2: a command must not write megabytes to both output streams at once.
 */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const hostKeys = options.hostKeys ?? [newKey().private];
  const sockets = new Map<number, Socket>();
  const kills = new Set<() => void>();
  const commands = { started: 0, running: 0 };
  const seen = { connections: 0, execs: [] as string[], logins: [] as string[], requests: [] as string[] };
  const { misbehaviour } = options;

  const ssh = new ssh2.Server({ hostKeys: [...hostKeys] }, (client, { port }) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => authenticate(context, options, seen.logins));
    client.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
      const socket = connect(socketPath);
      socket.once('error', () => reject());
      socket.once('connect', () => {
        const channel = accept();
        socket.pipe(channel).pipe(socket);
      });
    });
    client.on('session', (accept, reject) => {
      if (misbehaviour?.kind === 'refuse-sessions') return reject();
      const session = accept();
      const answerRequest = (text: string) => (grant: () => unknown, refuse: () => unknown) => {
        seen.requests.push(text);
        if (misbehaviour?.kind === 'refuse-extras') refuse();
        else grant();
      };
      session.on('pty', (yes, no, info) => {
        const { term } = info as unknown as { readonly term: string };
        answerRequest(`pty ${term} ${info.cols}x${info.rows}`)(yes, no);
      });
      session.on('window-change', (_yes, _no, { cols, rows }) => {
        seen.requests.push(`window ${cols}x${rows}`);
      });
      session.on('auth-agent', (yes, no) => answerRequest('agent')(yes, no));
      session.on('shell', (acceptShell) => {
        seen.requests.push('shell');
        launch('exec /bin/sh -s', acceptShell);
      });
      session.on('exec', (acceptExec, _reject, { command }) => {
        seen.execs.push(command);
        launch(command, acceptExec);
      });
      const launch = (command: string, open: () => ServerChannel): void => {
        const start = (): void => {
          commands.started++;
          commands.running++;
          const channel = open();
          channel.on('close', () => commands.running--);
          if (misbehaviour?.kind === 'ignore-window') flood(channel);
          else if (options.attack !== undefined) attackClient(command, channel, options.attack);
          else kills.add(run(command, channel, misbehaviour, () => sockets.get(port)?.destroy()));
        };
        if (misbehaviour?.kind === 'delay') {
          const timer = setTimeout(start, misbehaviour.ms);
          kills.add(() => clearTimeout(timer));
        } else {
          start();
        }
      };
    });
  });
  const server = createServer({ noDelay: true }, (socket) => {
    const port = socket.remotePort ?? 0;
    seen.connections++;
    sockets.set(port, socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(port));
    if (misbehaviour?.kind !== 'never-answer') ssh.injectSocket(socket);
  });
  const host = '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, host, resolve);
  });

  const cut = (): void => {
    for (const socket of sockets.values()) socket.destroy();
  };
  return {
    host,
    port: (server.address() as AddressInfo).port,
    hostKeys: hostKeys.map(publicLine),
    connections: () => seen.connections,
    openConnections: () => sockets.size,
    execs: () => seen.execs,
    requests: () => seen.requests,
    commands: () => commands,
    logins: () => seen.logins,
    cut,
    stall: () => {
      for (const socket of sockets.values()) socket.pause();
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      for (const kill of kills) kill();
      await closed;
    },
  };
}

/** The public half in the format of known_hosts: type, space, base64. */
export function publicLine(key: string): string {
  const parsed = parse(key);
  return `${parsed.type} ${parsed.getPublicSSH().toString('base64')}`;
}

function parse(key: string | Buffer): ssh2.ParsedKey {
  const parsed = ssh2.utils.parseKey(key);
  if (parsed instanceof Error) throw parsed;
  return Array.isArray(parsed) ? parsed[0] : parsed;
}

function authenticate(context: AuthContext, options: SshdOptions, logins: string[]): void {
  if (!isAuthorized(context, options)) {
    context.reject(['publickey']);
    return;
  }
  if (context.method === 'publickey' && context.signature !== undefined) logins.push(context.username);
  context.accept();
}

/** True for an accepted user with an accepted key and, if there is a signature, a correct one. */
function isAuthorized(context: AuthContext, options: SshdOptions): boolean {
  if (options.misbehaviour?.kind === 'refuse-authentication') return false;
  if (context.method !== 'publickey') return false;
  if (options.user !== undefined && options.user !== context.username) return false;
  const key = parse(context.key.data);
  const accepted = options.acceptedKeys?.some((line) => parse(line).getPublicSSH().equals(context.key.data));
  if (accepted === false) return false;
  if (context.signature === undefined || context.blob === undefined) return true;
  return key.verify(context.blob, context.signature, context.hashAlgo);
}

/** How long after an answer a query may follow, in ms; then the command ends. */
const REST_MS = 50;

/** Answers the scripts of a command with attacks, with backpressure. */
function attackClient(command: string, channel: ServerChannel, attack: () => Attack): void {
  let isClosed = false;
  const end = (): void => {
    if (isClosed) return;
    channel.exit(0);
    channel.end();
  };
  const send = async (stream: Writable, bytes: Uint8Array): Promise<void> => {
    if (isClosed || stream.write(bytes)) return;
    await new Promise<void>((resolve) => {
      stream.once('drain', resolve);
      channel.once('close', resolve);
    });
  };
  const wire: Wire = {
    stdout: (bytes) => send(channel, bytes),
    stderr: (bytes) => send(channel.stderr, bytes),
    get isClosed() {
      return isClosed;
    },
    rest: () => sleep(REST_MS),
  };
  channel.on('close', () => {
    isClosed = true;
  });
  const shell = new HostileShell(command, wire, attack, end);
  channel.on('data', (chunk: Buffer) => shell.take(String(chunk))).on('end', end);
}

/** ssh2 stops only at a window of exactly 0, which packets of this size skip. */
const ODD_SIZE = 30_001;

function flood(channel: ServerChannel): void {
  const { outgoing } = channel as unknown as { readonly outgoing: { window: number } };
  outgoing.window = Number.MAX_SAFE_INTEGER;
  channel.on('error', () => undefined);
  for (let sent = 0; sent < 64 * 1024 * 1024; sent += ODD_SIZE) channel.write(Buffer.alloc(ODD_SIZE));
}

/** Runs a command over a channel; returns a function that kills it. */
function run(
  command: string,
  channel: ServerChannel,
  misbehaviour: Misbehaviour | undefined,
  drop: () => void,
): () => void {
  const child = spawn('/bin/sh', ['-c', command], { detached: true, env: { PATH: process.env.PATH } });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (misbehaviour?.kind === 'drop-after' && bytes >= misbehaviour.bytes) drop();
  });
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  channel.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  channel.on('error', () => undefined);
  const kill = (): void => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    process.kill(-child.pid, 'SIGKILL');
  };
  child.on('close', (status, signal) => {
    if (status !== null) channel.exit(status);
    else channel.exit((signal ?? 'SIGKILL').slice('SIG'.length));
    channel.end();
  });
  channel.on('close', kill);
  return kill;
}
