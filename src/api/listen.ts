import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect, type ListenOptions } from 'node:net';
import { FleetError } from '../base/errors.ts';
import { formatPlace, type ListenPlace } from '../config/places.ts';

/** A user who may write to the socket may command the cluster: its owner and its group. */
const SOCKET_MODE = 0o660;
/** What connect(2) takes of a path, in bytes: sun_path without its NUL. */
const LONGEST_PATH = 107;

/**
 * Has a server listen. The socket of a process that is gone is replaced; one that is answered belongs to another process.
 * Throws FleetError `cannot-listen`.
 */
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
  // libuv cuts a longer one off, and listens somewhere else.
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
export async function listening(server: Server, options: ListenOptions & { fd?: number }): Promise<void> {
  server.listen(options);
  await once(server, 'listening');
}

/** Whether a process takes connections. Any error but ECONNREFUSED counts as a yes. */
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

/** Whether a running process has the place already. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && codeOf(error.cause) === 'EADDRINUSE';
}

function asCannotListen(error: unknown, place: ListenPlace): unknown {
  if (!(error instanceof Error && 'code' in error)) return error;
  const code = codeOf(error);
  const why = WORDS[code] ?? error.message;
  const hint = HINTS[code] ?? 'Name another place with "listen" in fleet.conf, or none';
  return new FleetError('cannot-listen', `Cannot listen on "${formatPlace(place)}": ${why}`, {
    hint,
    cause: error,
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is taken',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'permission denied',
  EINVAL: `a socket has a path of ${LONGEST_PATH} bytes at most`,
  ENOENT: 'its folder does not exist',
  ENOTSOCK: 'there is a file that is no socket',
  EROFS: 'the file system is read-only',
};
const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'A fleetd is running already; or name another place with "listen" in fleet.conf',
};
