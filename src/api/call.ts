import type { IncomingMessage, ServerResponse } from 'node:http';

/** The limit of a request body, in bytes; unit files are smaller. */
const LARGEST_BODY = 1024 * 1024;

/** A request; its path in decoded pieces. */
export type Call = {
  readonly method: string;
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** The body as text. Rejects with {@link ApiError} 413 when it is too long. */
  readonly body: () => Promise<string>;
  /** Tells the client that the answer takes a while (status 102). */
  readonly takesAWhile: () => void;
};

/** The answer to a request; without a body only the status is sent. A long text is in pieces, which answers can share. */
export type ApiResponse = {
  readonly status: number;
  readonly body?: { readonly type: string; readonly text: string | readonly Buffer[] };
};

/** A refused request, with its HTTP status. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.status = status;
  }
}

export function json(value: object, status = 200): ApiResponse {
  return { status, body: { type: 'application/json', text: JSON.stringify(value) } };
}

/** The shape of every error of fleet's API. */
export function errorAnswer({ status, message }: ApiError): ApiResponse {
  return json({ error: { code: status, message } }, status);
}

/** Throws {@link ApiError} 400 for a path that cannot be decoded. */
export function readCall(request: IncomingMessage, response: ServerResponse): Call {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  return {
    method: request.method ?? 'GET',
    path: path
      .split('/')
      .filter((piece) => piece !== '')
      .map(decoded),
    query: new URLSearchParams(query),
    headers: request.headers,
    body: () => readBody(request),
    takesAWhile: () => response.writeProcessing(),
  };
}

function decoded(piece: string): string {
  try {
    return decodeURIComponent(piece);
  } catch {
    throw new ApiError(400, `cannot decode "${piece}"`);
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of request as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > LARGEST_BODY) throw new ApiError(413, `a request has at most ${LARGEST_BODY} bytes`);
      pieces.push(piece);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(400, 'the client aborted the request', { cause: error });
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Throws {@link ApiError} 400 for a text that is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, `unable to decode body: ${error instanceof Error ? error.message : error}`);
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
