import http from 'node:http';
import https from 'node:https';
import type { Endpoint, Secrets } from './options.ts';

/** The HTTP response of an endpoint, with the complete body. */
export type HttpAnswer = { readonly status: number; readonly body: string };

export type Post = {
  readonly path: string;
  readonly body: string;
  readonly token: string | undefined;
  /** How long the endpoint may send nothing, in ms. */
  readonly silence: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with each line of a streamed response; the lines are then not part of the body. */
  readonly onLine?: (line: string) => void;
};

/** Connections to the endpoints of one etcd. */
export interface HttpConnections {
  /**
   * Rejects when there is no answer, with a message for the user; `stale` is true for a reused connection that
   * was already closed.
   */
  post(endpoint: Endpoint, post: Post): Promise<HttpAnswer>;
  close(): void;
}

/** Why there was no answer. */
export class NoAnswer extends Error {
  readonly stale: boolean;
  readonly code: string;

  constructor(message: string, { stale = false, code = '' } = {}) {
    super(message);
    this.stale = stale;
    this.code = code;
  }
}

export function openHttp(tls: boolean, { ca, cert, key }: Secrets): HttpConnections {
  // Each watch occupies a connection, so the number is not limited.
  const agent = tls
    ? new https.Agent({ keepAlive: true, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
    : new http.Agent({ keepAlive: true });
  const { request } = tls ? https : http;
  return {
    post: ({ host, port }, { path, body, token, silence, signal, onLine }) =>
      new Promise((resolve, reject) => {
        const headers = {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...(token !== undefined && { authorization: token }),
        };
        const options = { agent, host, port, path, method: 'POST', headers, ...(signal && { signal }) };
        const outgoing = request(options);
        const tooLong = new NoAnswer(`no answer within ${silence / 1000} s`, { code: 'timeout' });
        const timer = setTimeout(() => outgoing.destroy(tooLong), silence);
        const fail = (error: Error): void => {
          clearTimeout(timer);
          reject(asNoAnswer(error, outgoing.reusedSocket));
        };
        outgoing.on('response', (answer) => {
          collect(answer, timer, onLine).then(resolve, fail);
        });
        outgoing.on('error', fail);
        outgoing.end(body);
      }),
    close: () => agent.destroy(),
  };
}

async function collect(
  answer: http.IncomingMessage,
  timer: NodeJS.Timeout,
  onLine: Post['onLine'],
): Promise<HttpAnswer> {
  const { statusCode: status = 0 } = answer;
  const pieces: Buffer[] = [];
  let begun = Buffer.alloc(0);
  for await (const piece of answer as AsyncIterable<Buffer>) {
    timer.refresh();
    if (onLine === undefined || status !== 200) {
      pieces.push(piece);
      continue;
    }
    begun = Buffer.concat([begun, piece]);
    for (let end = begun.indexOf(10); end >= 0; end = begun.indexOf(10)) {
      onLine(begun.toString('utf8', 0, end));
      begun = begun.subarray(end + 1);
    }
  }
  clearTimeout(timer);
  return { status, body: Buffer.concat(pieces).toString('utf8') };
}

function asNoAnswer(error: Error, reused: boolean): NoAnswer {
  if (error instanceof NoAnswer) return error;
  const code = 'code' in error ? `${error.code}` : '';
  const stale = reused && (code === 'ECONNRESET' || code === 'EPIPE');
  return new NoAnswer(WORDS[code] ?? error.message, { stale, code });
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  ENOTFOUND: 'no such host',
};
