import type http from 'node:http';
import { FleetError, isFleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { LIMITS } from '../machine/limits.ts';
import { isObject } from './call.ts';
import { readSnapshot, type SnapshotDocument } from './snapshot.ts';
import {
  ChunkedAnswer,
  type Exchange,
  type Got,
  getOverSocket,
  type Listener,
  TOO_LONG,
} from './socket-get.ts';

/** The address of a controller. */
export type Endpoint = {
  readonly name: string;
  readonly options: http.RequestOptions;
  readonly tls: boolean;
};

/** The limits until a controller reports that it works on the answer, and until the answer is complete, in ms. */
export type ClientTimeouts = { readonly firstMs: number; readonly wholeMs: number };

/** Reads `unix:///run/fleet.sock`, `http://HOST:PORT` or `https://HOST:PORT`; undefined for anything else. */
export function parseEndpoint(name: string): Endpoint | undefined {
  const path = /^unix:(?:\/\/)?(\/.+)$/.exec(name)?.[1];
  if (path !== undefined) return { name, options: { socketPath: path }, tls: false };
  const [, scheme, address] = /^(https?):\/\/([^/?#@]+)\/?$/.exec(name) ?? [];
  if (scheme === undefined || address === undefined || !URL.canParse(name)) return undefined;
  const { hostname, port } = new URL(name);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return { name, options: { host, ...(port !== '' && { port: Number(port) }) }, tls: scheme === 'https' };
}

/** The snapshot of a controller. Throws FleetError `endpoint` if it does not arrive in time. */
export async function fetchSnapshot(endpoint: Endpoint, timeouts: ClientTimeouts): Promise<SnapshotDocument> {
  const { status, body } = await get(endpoint, '/fleet/v2/snapshot', timeouts).catch((error: Error) => {
    throw isFleetError(error) ? error : unreachable(endpoint, error);
  });
  if (status !== 200) throw new FleetError('endpoint', `${named(endpoint)} ${refusalText(status, body)}`);
  const document = readSnapshot(body);
  if (document !== undefined) return document;
  throw new FleetError('endpoint', `${named(endpoint)} does not answer as fleetd does`, {
    hint: 'It may be of another version, or another program; "--endpoint none" asks the machines',
  });
}

/**
 * Without an agent each request has its own connection; with createConnection, Node accepts no agent. Without TLS the server needs
 * no name. Node would compile its expression for IPv6 addresses to find one, which takes a tenth of the time of an empty program.
 */
export function agentOf({ options, tls }: Endpoint): { readonly agent?: false; readonly servername?: '' } {
  if (options.createConnection !== undefined) return {};
  return tls ? { agent: false } : { agent: false, servername: '' };
}

function get(endpoint: Endpoint, path: string, { firstMs, wholeMs }: ClientTimeouts): Promise<Got> {
  return new Promise((resolve, reject) => {
    const late = (ms: number) =>
      setTimeout(() => exchange.destroy(new Error(`no answer within ${ms / 1000} s`)), ms);
    let timer: NodeJS.Timeout | undefined;
    const listener: Listener = {
      progress() {
        clearTimeout(timer);
        timer = late(wholeMs);
      },
      done(got) {
        clearTimeout(timer);
        resolve(got);
      },
      failed(error) {
        if (error instanceof ChunkedAnswer) {
          exchange = getOverHttp(endpoint, path, listener);
          return;
        }
        clearTimeout(timer);
        reject(error);
      },
    };
    const { socketPath } = endpoint.options;
    let exchange = socketPath
      ? getOverSocket(socketPath, path, listener)
      : getOverHttp(endpoint, path, listener);
    timer = late(firstMs);
  });
}

function getOverHttp(endpoint: Endpoint, path: string, { progress, done, failed }: Listener): Exchange {
  const { options, tls } = endpoint;
  // Loaded here, because most commands do not need it.
  const { request: send } = process.getBuiltinModule(tls ? 'node:https' : 'node:http');
  const request = send({ ...options, ...agentOf(endpoint), path });
  request.on('information', progress);
  request.on('response', (response) => {
    progress();
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > LIMITS.snapshot.most) response.destroy(new Error(TOO_LONG));
    });
    response.on('error', failed);
    response.on('end', () =>
      done({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
    );
  });
  request.on('error', failed);
  request.end();
  return request;
}

function named({ name }: Endpoint): string {
  return `The endpoint "${name}"`;
}

function unreachable(endpoint: Endpoint, error: Error): FleetError {
  const code = codeOf(error);
  const message = `${named(endpoint)} is unreachable: ${failureText(error)}`;
  return new FleetError('endpoint', message, {
    hint: HINTS[code] ?? 'Is fleetd running there? "--endpoint none" asks the machines',
    cause: error,
  });
}

/** The cause of a failed connection, in words. */
export function failureText(error: Error): string {
  return WORDS[codeOf(error)] ?? error.message;
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}

/** The answer of a controller that refuses a request. */
export function refusalText(status: number | undefined, body: string): string {
  return `refuses: ${quoted(reasonIn(body) ?? `status ${status}`)}`;
}

function reasonIn(body: string): string | undefined {
  try {
    const answer: unknown = JSON.parse(body);
    const error = isObject(answer) ? answer.error : undefined;
    return isObject(error) && typeof error.message === 'string' ? error.message : undefined;
  } catch {
    return undefined;
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was closed',
  EACCES: 'permission denied',
  ENOTFOUND: 'no such host',
};
const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'Only the owner of the socket and its group may use it',
};
