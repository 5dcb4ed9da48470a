import type http from 'node:http';
import { text } from 'node:stream/consumers';
import { FleetError, isFleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import { LIMITS } from '../machine/limits.ts';
import { isObject } from './call.ts';
import { readSnapshot, type SnapshotDocument } from './snapshot.ts';

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

type Got = { readonly status: number; readonly body: string };

/** Without an agent each request has its own connection; with createConnection, Node accepts no agent. */
export function agentOf({ options }: Endpoint): { readonly agent?: false } {
  return options.createConnection === undefined ? { agent: false } : {};
}

function get(endpoint: Endpoint, path: string, { firstMs, wholeMs }: ClientTimeouts): Promise<Got> {
  return new Promise((resolve, reject) => {
    const { options, tls } = endpoint;
    // Loaded here, because most commands ask no controller.
    const { request: send } = process.getBuiltinModule(tls ? 'node:https' : 'node:http');
    const request = send({ ...options, ...agentOf(endpoint), path });
    const late = (ms: number) =>
      setTimeout(() => request.destroy(new Error(`no answer within ${ms / 1000} s`)), ms);
    let timer = late(firstMs);
    const restart = (): void => {
      clearTimeout(timer);
      timer = late(wholeMs);
    };
    request.on('information', restart);
    request.on('response', (response) => {
      restart();
      const tooLong = new Error(`an answer of more than ${LIMITS.snapshot.most} bytes`);
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > LIMITS.snapshot.most) response.destroy(tooLong);
      });
      text(response)
        .then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
        .finally(() => clearTimeout(timer));
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.end();
  });
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
