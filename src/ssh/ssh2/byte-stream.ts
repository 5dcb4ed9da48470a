import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { quoted } from '../../base/visible.ts';
import type { SshTarget } from '../target.ts';

/** A connection to a jump host. */
type JumpHost = {
  readonly failure: Error | undefined;
  readonly forward: (target: SshTarget) => Promise<ClientChannel>;
};

/** The byte stream below an SSH connection. */
export interface ByteStream {
  readonly stream: Duplex;
  /** The remote address, if it is known. */
  readonly address: string | undefined;
  /** Why it ended, if the stream has a reason: the standard error of a ProxyCommand, or a lost jump host. */
  trouble(): string | undefined;
  /** Whether another attempt would end in the same way. */
  isBroken(): boolean;
}

/**
 * Opens the byte stream to the target; `jumpHost` is the connection to the last jump host, if there is one. Rejects
 * with a FleetError, or with the error of the socket. `signal` ends the attempt; `resolved` is called once the name is
 * resolved.
 */
export async function dial(
  target: SshTarget,
  jumpHost: JumpHost | undefined,
  signal: AbortSignal,
  resolved: () => void,
): Promise<ByteStream> {
  if (jumpHost !== undefined) return dialFrom(jumpHost, target, signal);
  if (target.via.kind === 'command') {
    const stream = new ProxyCommand(target.via.command);
    return { stream, address: undefined, trouble: () => stream.trouble, isBroken: () => stream.isMissing };
  }
  return dialDirectly(target, signal, resolved);
}

const FAMILIES = { any: 0, inet: 4, inet6: 6 } as const;

function dialDirectly(target: SshTarget, signal: AbortSignal, resolved: () => void): Promise<ByteStream> {
  const { host, port, addressFamily, bindAddress } = target;
  // Nagle's algorithm, which ssh2 does not disable, costs 40 ms per connection.
  const local = bindAddress === undefined ? {} : { localAddress: bindAddress };
  const socket = connect({ host, port, noDelay: true, family: FAMILIES[addressFamily], ...local });
  socket.once('lookup', (error: Error | null) => error ?? resolved());
  const abort = (): void => void socket.destroy(new Error('given up'));
  signal.addEventListener('abort', abort, { once: true });
  return new Promise<ByteStream>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve({
        stream: socket,
        address: socket.remoteAddress,
        trouble: () => undefined,
        isBroken: () => false,
      });
    });
  }).finally(() => signal.removeEventListener('abort', abort));
}

async function dialFrom(jumpHost: JumpHost, target: SshTarget, signal: AbortSignal): Promise<ByteStream> {
  const stream = new Tunnel(await jumpHost.forward(target));
  if (signal.aborted) stream.destroy();
  return {
    stream,
    address: undefined,
    trouble: () => jumpHost.failure?.message,
    isBroken: () => jumpHost.failure !== undefined,
  };
}

/** A channel of a jump host that closes at once when it is destroyed, even if the jump host still has data to send. */
class Tunnel extends Duplex {
  readonly #channel: ClientChannel;

  constructor(channel: ClientChannel) {
    super();
    this.#channel = channel;
    channel.on('error', () => undefined);
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause();
    });
    channel.on('end', () => this.push(null)).on('close', () => this.destroy());
    channel.stderr.resume();
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#channel.write(chunk, () => done());
  }

  override _writev(writes: { readonly chunk: Buffer }[], done: () => void): void {
    this.#channel.write(Buffer.concat(writes.map(({ chunk }) => chunk)), () => done());
  }

  override _final(done: () => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.close();
    done(error);
  }
}

/** The characters of a command's standard error that are kept. */
const MOST_SAID = 4000;

/**
 * The standard streams of a command that leads to a host (ssh_config(5), ProxyCommand), as one stream. The command
 * is killed when the stream is destroyed, and the stream ends when the command has.
 */
class ProxyCommand extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  #said = '';
  #end = 'was cut off';
  #status: number | null = null;

  constructor(command: string) {
    super();
    // Ctrl-C must only reach fleetctl, which may still need the connection.
    const child = spawn('/bin/sh', ['-c', `trap '' INT; exec ${command}`], { stdio: 'pipe' });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = `${this.#said}${text}`.slice(-MOST_SAID);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => this.destroy(error));
    child.on('close', (status, signal) => {
      this.#status = status;
      this.#end = status === null ? `was ended by ${signal}` : `ended with status ${status}`;
      this.push(null);
      this.destroy();
    });
  }

  /** How it ended, with its last line of output. */
  get trouble(): string {
    const words = this.#said.trim().split('\n').at(-1);
    return `its ProxyCommand ${this.#end}${words ? `: ${quoted(words)}` : ''}`;
  }

  /** Whether the program was not found, or could not be executed (XCU 2.8.2). */
  get isMissing(): boolean {
    return this.#status === 126 || this.#status === 127;
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // A command that no longer reads is about to end, and this stream ends with it.
    this.#child.stdin.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill();
    done(error);
  }
}

/**
 * From now on, all that is written within one turn of the event loop goes out together. ssh2 writes the length, the
 * content and the code of a packet one by one, and without Nagle's algorithm each would be a segment of TCP that wakes
 * the machine.
 */
export function gatherWrites(stream: Duplex): void {
  const write = stream.write.bind(stream);
  const uncork = (): void => process.nextTick(() => stream.uncork());
  stream.write = ((...given: Parameters<typeof write>) => {
    if (stream.writableCorked === 0) {
      stream.cork();
      // Promises that are settled in this turn, as that of a signature, lead to packets as well.
      process.nextTick(queueMicrotask, uncork);
    }
    return write(...given);
  }) as typeof stream.write;
}

/** The line that sshd sends instead of its SSH version when it refuses a client (MaxStartups, PerSourcePenalties). */
const GREETING = /^(Exceeded MaxStartups|Not allowed at this time)/;

/** Counts the bytes of a stream that other code reads. */
export class ByteCounter {
  bytesRead = 0;
  /** The line that sshd sent instead of its SSH version. */
  greeting: string | undefined;

  constructor(stream: Duplex) {
    stream.on('data', (chunk: Buffer) => {
      if (this.bytesRead === 0) [this.greeting] = GREETING.exec(chunk.toString('latin1', 0, 100)) ?? [];
      this.bytesRead += chunk.length;
    });
  }
}
