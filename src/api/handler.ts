import type { IncomingMessage, ServerResponse } from 'node:http';
import { isFleetError } from '../base/errors.ts';
import { CONTENT_TYPE } from '../metrics/exposition.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { type AccessRules, checkAccess } from './access.ts';
import { type Answer, ApiError, errorAnswer } from './answer.ts';
import { type Call, readCall } from './call.ts';
import type { Cluster } from './cluster.ts';
import type { EventStream } from './events.ts';
import { Lane } from './lane.ts';
import { answerTo } from './routes.ts';

/** `isPlain` tells whether the request came over TCP without TLS. */
export type Handler = (request: IncomingMessage, response: ServerResponse, isPlain: boolean) => void;

export type HandlerOptions = {
  readonly cluster: Cluster;
  readonly metrics: Metrics;
  readonly events: EventStream;
  /** Gets an unexpected error; the request is answered with 500. */
  readonly onBug: (error: unknown) => void;
};

/** What every server here does with a request that {@link checkAccess} lets pass. */
export function createHandler(options: HandlerOptions, rules: AccessRules): Handler {
  const lane = new Lane();
  return (request, response, isPlain) => {
    void respond(options, lane, request, response, () => checkAccess(request, rules, isPlain));
  };
}

async function respond(
  options: HandlerOptions,
  lane: Lane,
  request: IncomingMessage,
  response: ServerResponse,
  check: () => void,
): Promise<void> {
  try {
    check();
    const call = readCall(request, response);
    if (call.method === 'GET' && call.path.join('/') === 'events') {
      const last = request.headers['last-event-id'];
      return options.events.follow(response, typeof last === 'string' ? last : undefined);
    }
    const work = (): Promise<Answer> => answer(options, call);
    const isGone = (): boolean => request.socket.destroyed;
    const said = isCostly(call) ? await lane.run(work, isGone) : await work();
    if (said !== undefined) send(response, said);
  } catch (error) {
    const known = asApiError(error);
    if (known === undefined) options.onBug(error);
    const refusal = errorAnswer(known ?? new ApiError(500, 'internal error; the log of fleetd has more'));
    if (request.method !== 'GET') options.metrics.noteRefusal(refusal.status);
    send(response, refusal);
  }
}

/** Whether each of many such requests costs time; of a snapshot and of health, one look serves all. */
function isCostly({ method, path }: Call): boolean {
  return method === 'GET' && path.join('/') !== 'fleet/v2/snapshot' && path.join('/') !== 'healthz';
}

async function answer({ cluster, metrics }: HandlerOptions, call: Call): Promise<Answer> {
  if (call.method !== 'GET' || call.path.join('/') !== 'metrics') return answerTo(cluster, call);
  const { leads, now, watcher } = cluster;
  const { snapshot, seenAt } = watcher;
  return {
    status: 200,
    body: { type: CONTENT_TYPE, text: metrics.text({ leads, now, seenAt, snapshot }) },
  };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    ...(body !== undefined && { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text) }),
    // What is left of a body that is too long is not waited for.
    ...(status === 413 && { connection: 'close' }),
  });
  response.end(body?.text);
}

/** A faulty request is 400, an unusable cluster 503. Undefined for an unexpected error. */
function asApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (!isFleetError(error)) return undefined;
  const isRequest = ['unit-name', 'unit-file', 'placement', 'usage'].includes(error.code);
  return new ApiError(isRequest ? 400 : 503, error.message, { cause: error });
}
