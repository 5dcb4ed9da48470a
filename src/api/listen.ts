import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import http from 'node:http';
import https from 'node:https';
import { connect, type ListenOptions } from 'node:net';
import { FleetError } from '../base/errors.ts';
import { readTrusted } from '../base/trusted-file.ts';
import { formatListenPlace, type ListenPlace } from '../config/places.ts';
import type { ListenSettings } from '../config/values.ts';
import type { Handler } from './handler.ts';
import { limitConnections } from './limits.ts';

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

/** The limits of a client, times in ms. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
} as const;
/** The limit of a TLS handshake, in ms. */
const HANDSHAKE_MS = 10_000;
/** After how long an idle connection is closed, in ms. */
const IDLE_MS = 60_000;

/** Certificate and key of a server, and the CA of client certificates. */
export type Tls = { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer | undefined };

export function createServer(handler: Handler, tls: Tls | undefined): http.Server {
  let isPlain = tls === undefined;
  const listener: http.RequestListener = (request, response) => {
    response.shouldKeepAlive = false;
    handler(request, response, isPlain);
  };
  const server = tls === undefined ? http.createServer(LIMITS, listener) : secured(listener, tls);
  // The address of a Unix socket is null or its path.
  server.once('listening', () => {
    const address = server.address();
    isPlain &&= typeof address === 'object' && address !== null;
  });
  limitConnections(server);
  server.timeout = IDLE_MS;
  // Node handles pipelined requests concurrently, even after the client has gone, so a connection has one request.
  server.maxRequestsPerSocket = 1;
  return server;
}

/** Undefined if no TLS files are configured. Throws FleetError `cannot-listen`. */
export async function readTls(settings: ListenSettings): Promise<Tls | undefined> {
  const {
    listen_cert_file: certFile,
    listen_key_file: keyFile,
    listen_client_ca_file: clientCaFile,
  } = settings;
  if (certFile === undefined || keyFile === undefined) return undefined;
  return {
    cert: read(certFile),
    key: read(keyFile),
    ca: clientCaFile === undefined ? undefined : read(clientCaFile),
  };
}

/** Closes a server and all its connections. */
export function closeServer(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function secured(listener: http.RequestListener, { cert, key, ca }: Tls): http.Server {
  const who = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true };
  try {
    return https.createServer(
      { ...LIMITS, handshakeTimeout: HANDSHAKE_MS, cert, key, minVersion: 'TLSv1.2', ...who },
      listener,
    );
  } catch (error) {
    const message = `Cannot use listen_cert_file and listen_key_file: ${error instanceof Error ? error.message : error}`;
    throw new FleetError('cannot-listen', message, {
      hint: 'Both must be PEM files, and match',
      cause: error,
    });
  }
}

function read(path: string): Buffer {
  try {
    return readTrusted(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    const hint = error instanceof FleetError && error.hint !== undefined ? { hint: error.hint } : {};
    throw new FleetError('cannot-listen', `Cannot read a TLS file: ${why}`, { cause: error, ...hint });
  }
}
