import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect, type ListenOptions } from 'node:net';
import { FleetError } from '../base/errors.ts';
import { formatListenPlace, type ListenPlace } from '../config/places.ts';
import type { Handler } from './handler.ts';
import { createServer, type Tls } from './server.ts';

/** A user who may write to the socket controls the cluster. */
const SOCKET_MODE = 0o660;
/** The limit of a path in connect(2), in bytes: sun_path without its NUL. */
const LONGEST_PATH = 107;

/** Lets a server listen. A socket that no process answers is replaced. Throws FleetError `cannot-listen`. */
export async function listenAt(server: Server, place: ListenPlace): Promise<void> {
  try {
    if (place.kind === 'tcp') return await listening(server, { host: place.host, port: place.port });
    await listenAtSocket(server, place.path);
    await chmod(place.path, SOCKET_MODE);
  } catch (error) {
    throw asCannotListen(error, place);
  }
}

async function listenAtSocket(server: Server, path: string): Promise<void> {
  // libuv truncates a longer path.
  if (Buffer.byteLength(path) > LONGEST_PATH) throw Object.assign(new Error(), { code: 'EINVAL' });
  try {
    await listening(server, { path });
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    if (!(await lstat(path)).isSocket()) throw Object.assign(new Error(), { code: 'ENOTSOCK' });
    if (await isAnswered(path)) throw error;
    await unlink(path);
    await listening(server, { path });
  }
}

/** Resolves when it listens. */
async function listening(server: Server, options: ListenOptions & { fd?: number }): Promise<void> {
  server.listen(options);
  await once(server, 'listening');
}

/** Whether a process accepts connections. Any error but ECONNREFUSED counts as in use. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'));
  });
}

/** Whether a running process listens there already. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && codeOf(error.cause) === 'EADDRINUSE';
}

function asCannotListen(error: unknown, place: ListenPlace): unknown {
  if (!(error instanceof Error && 'code' in error)) return error;
  const code = codeOf(error);
  const why = WORDS[code] ?? error.message;
  const hint = HINTS[code] ?? 'Set another address with "listen" in fleet.conf, or none';
  return new FleetError('cannot-listen', `Cannot listen on "${formatListenPlace(place)}": ${why}`, {
    hint,
    cause: error,
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is in use',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'permission denied',
  EINVAL: `a socket has a path of ${LONGEST_PATH} bytes at most`,
  ENOENT: 'its folder does not exist',
  ENOTSOCK: 'the file there is not a socket',
  EROFS: 'the file system is read-only',
};
const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'A fleetd is running already; or set another address with "listen" in fleet.conf',
};

/** SD_LISTEN_FDS_START of sd_listen_fds(3). */
const FIRST_FD = 3;

/**
 * Sockets that systemd opened and passed to this process. They cannot be opened again, so they stay open as long as the
 * process runs, but do not keep it running.
 */
export class InheritedSockets {
  readonly #fds: readonly number[];
  #servers: readonly Server[] | undefined;
  #handler: Handler = askToRetry;

  /** Reads `LISTEN_PID` and `LISTEN_FDS`: sd_listen_fds(3). */
  constructor(env: Readonly<Record<string, string | undefined>>, pid: number) {
    const count = env.LISTEN_PID === String(pid) ? Number(env.LISTEN_FDS ?? 0) : 0;
    this.#fds = Array.from(
      { length: Number.isInteger(count) ? Math.max(0, count) : 0 },
      (_, n) => FIRST_FD + n,
    );
  }

  get exist(): boolean {
    return this.#fds.length > 0;
  }

  /** Throws FleetError `cannot-listen` for TCP that lacks TLS and is not `insecure`. */
  async serve(handler: Handler, tls: Tls | undefined, insecure: boolean): Promise<void> {
    this.#servers ??= await Promise.all(this.#fds.map((fd) => this.#open(fd, tls, insecure)));
    this.#handler = handler;
  }

  /** Keeps them open, and asks clients to retry. */
  pause(): void {
    this.#handler = askToRetry;
    for (const server of this.#servers ?? []) server.closeAllConnections();
  }

  async #open(fd: number, tls: Tls | undefined, insecure: boolean): Promise<Server> {
    const handle: Handler = (request, response, isPlain) => this.#handler(request, response, isPlain);
    const plain = createServer(handle, undefined);
    await listening(plain, { fd });
    plain.unref();
    // Node returns no address for a Unix socket.
    if (plain.address() === null || (tls === undefined && insecure)) return plain;
    if (tls === undefined)
      throw new FleetError('cannot-listen', `Cannot use socket ${fd} of systemd: it is TCP, without TLS`, {
        hint: 'Add listen_cert_file and listen_key_file, or set listen_insecure = true',
      });
    const secure = createServer(handle, tls);
    await listening(secure, plain as object);
    return secure.unref();
  }
}

const askToRetry: Handler = (_, response) => {
  response.writeHead(503, { 'retry-after': '1' }).end();
};
