import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { isFleetError } from '../base/errors.ts';
import type { ListenSettings } from '../config/values.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { CONTENT_TYPE } from '../metrics/metrics.ts';
import { ApiError, type ApiResponse, type Call, errorAnswer, readCall } from './call.ts';
import type { Cluster } from './cluster.ts';
import type { EventStream } from './events.ts';
import { RequestQueue } from './limits.ts';
import { runPass } from './pass.ts';
import { answerTo } from './routes.ts';

/** `isPlain` is true for a request over TCP without TLS. */
export type Handler = (request: IncomingMessage, response: ServerResponse, isPlain: boolean) => void;

export type HandlerOptions = {
  readonly cluster: Cluster;
  readonly metrics: Metrics;
  readonly events: EventStream;
  /** Gets an unexpected error; the request is answered with 500. */
  readonly onBug: (error: unknown) => void;
};

/** The requests that a listener accepts. */
export type AccessRules = {
  readonly isReadOnly: boolean;
  /** The names of the host for clients over plain TCP, in lower case; addresses are always accepted. */
  readonly names: ReadonlySet<string>;
};

/** Answers every request that {@link checkAccess} accepts. */
export function createHandler(options: HandlerOptions, rules: AccessRules): Handler {
  const queue = new RequestQueue();
  return async (request, response, isPlain) => {
    try {
      checkAccess(request, rules, isPlain);
      const call = readCall(request, response);
      if (call.method === 'GET' && call.path.join('/') === 'events') {
        const last = request.headers['last-event-id'];
        return options.events.follow(response, typeof last === 'string' ? last : undefined);
      }
      if (call.method === 'POST' && call.path.join('/') === 'fleet/v2/pass')
        return await runPass(options.cluster, call, response, options.onBug);
      const work = (): Promise<ApiResponse> => answer(options, call);
      const isGone = (): boolean => request.socket.destroyed;
      const answered = isCostly(call) ? await queue.run(work, isGone) : await work();
      if (answered !== undefined) send(response, answered);
    } catch (error) {
      const known = asApiError(error);
      if (known === undefined) options.onBug(error);
      const refusal = errorAnswer(known ?? new ApiError(500, 'internal error, see the log of fleetd'));
      if (request.method !== 'GET') options.metrics.countRefusal(refusal.status);
      send(response, refusal);
    }
  };
}

/** Whether each of many such requests costs time; concurrent requests for a snapshot or for health share one result. */
function isCostly({ method, path }: Call): boolean {
  return method === 'GET' && path.join('/') !== 'fleet/v2/snapshot' && path.join('/') !== 'healthz';
}

async function answer({ cluster, metrics }: HandlerOptions, call: Call): Promise<ApiResponse> {
  if (call.method !== 'GET' || call.path.join('/') !== 'metrics') return answerTo(cluster, call);
  const { leads, now, watcher } = cluster;
  const { snapshot, seenAt } = watcher;
  return {
    status: 200,
    body: { type: CONTENT_TYPE, text: metrics.text({ leads, now, seenAt, snapshot }) },
  };
}

function send(response: ServerResponse, { status, body }: ApiResponse): void {
  if (response.headersSent || response.destroyed) return;
  const pieces = typeof body?.text === 'string' ? [body.text] : (body?.text ?? []);
  const length = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  response.writeHead(status, {
    ...(body !== undefined && { 'content-type': body.type, 'content-length': length }),
    // The rest of a body that is too long is not read.
    ...(status === 413 && { connection: 'close' }),
  });
  for (const piece of pieces) response.write(piece);
  response.end();
}

/** 400 for an invalid request, 503 for an unusable cluster; undefined for an unexpected error. */
function asApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (!isFleetError(error)) return undefined;
  const isRequest = ['unit-name', 'unit-file', 'placement', 'usage'].includes(error.code);
  return new ApiError(isRequest ? 400 : 503, error.message, { cause: error });
}

/** The names that `Host` may have: those of the host, of the listeners, and of `listen_names`. */
export function hostNames(settings: ListenSettings): ReadonlySet<string> {
  const { listen, listen_read_only: reads, listen_names: names = [] } = settings;
  const places = [...listen, ...reads].flatMap((place) => (place.kind === 'tcp' ? [place.host] : []));
  return new Set(['localhost', hostname(), ...places, ...names].map((name) => name.toLowerCase()));
}

/**
 * Refuses requests that a web page can make a browser send, and changes over a read-only listener. Throws
 * {@link ApiError} 403 and 405.
 */
function checkAccess({ method, headers }: IncomingMessage, rules: AccessRules, isPlain: boolean): void {
  // https://www.w3.org/TR/fetch-metadata/: "none" is an address that the user has entered.
  const site = headers['sec-fetch-site'];
  if (headers.origin !== undefined || (site !== undefined && (site !== 'none' || method !== 'GET')))
    throw new ApiError(403, 'requests from web pages are refused');
  // With DNS rebinding, the name of the page resolves to this host, and the request counts as same-origin. Over TLS no
  // certificate has that name, and browsers do not use Unix sockets.
  if (isPlain && !isKnown(headers.host, rules.names))
    throw new ApiError(
      403,
      `the host "${headers.host}" is not known here; "listen_names" in fleet.conf adds names`,
    );
  if (rules.isReadOnly && method !== 'GET')
    throw new ApiError(405, 'this listener is read-only: only GET is supported');
}

/** Browsers always send a name; clients of HTTP/1.0 need not. */
function isKnown(host: string | undefined, names: ReadonlySet<string>): boolean {
  if (host === undefined) return true;
  const name = host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  return names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}
