import { LIMITS } from '../machine/limits.ts';

/** An answer: its status, and its body as text. */
export type Got = { readonly status: number; readonly body: string };

/** Receives the progress of a request, and at most once its result. */
export type Listener = {
  /** The server works on the answer, or has begun to send it. */
  readonly progress: () => void;
  readonly done: (got: Got) => void;
  readonly failed: (error: Error) => void;
};

/** A request that can be ended with an error. */
export type Exchange = { destroy(error: Error): unknown };

/** The largest head of an answer, in bytes, as in node:http. */
const MOST_HEAD = 16 * 1024;

/** An answer in chunks: fleetd sends none, but a proxy may. */
export class ChunkedAnswer extends Error {}

export const TOO_LONG = `an answer of more than ${LIMITS.snapshot.most} bytes`;

/**
 * Sends a GET over a Unix socket. A list would spend a fifth of the time of an empty program on node:http, which does much more.
 * Fails with {@link ChunkedAnswer} for an answer that only node:http reads.
 */
export function getOverSocket(socketPath: string, path: string, listener: Listener): Exchange {
  const socket = process.getBuiltinModule('node:net').connect(socketPath);
  const answer = new Answer(listener.progress);
  const settle = (read: () => Got | undefined): void => {
    try {
      const got = read();
      if (got === undefined) return;
      listener.done(got);
      socket.destroy();
    } catch (error) {
      socket.destroy(error as Error);
    }
  };
  socket.on('error', listener.failed);
  socket.on('data', (chunk: Buffer) => settle(() => answer.add(chunk)));
  socket.on('end', () => settle(() => answer.end()));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  return socket;
}

/** `length` is that of the body, in bytes; undefined if the body ends with the connection. */
type Head = { readonly status: number; readonly length: number | undefined };

/** Reads an answer in HTTP/1.1 (RFC 9112), with interim ones before it, from its pieces. */
class Answer {
  readonly #progress: () => void;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #head: Head | undefined;

  constructor(progress: () => void) {
    this.#progress = progress;
  }

  /** Takes the next piece, and returns the answer if it is complete. */
  add(chunk: Buffer): Got | undefined {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#head === undefined) this.#readHeads();
    if (this.#bytes > LIMITS.snapshot.most) throw new Error(TOO_LONG);
    const length = this.#head?.length ?? Number.POSITIVE_INFINITY;
    return this.#bytes >= length ? this.#got(length) : undefined;
  }

  /** The answer after the end of the connection. */
  end(): Got {
    if (this.#head !== undefined && this.#head.length === undefined) return this.#got(this.#bytes);
    throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
  }

  #readHeads(): void {
    while (this.#head === undefined) {
      const bytes = Buffer.concat(this.#chunks);
      const end = bytes.indexOf('\r\n\r\n');
      if ((end < 0 ? bytes.length : end) > MOST_HEAD) throw notHttp();
      this.#chunks = [bytes];
      if (end < 0) return;
      const head = readHead(bytes.toString('latin1', 0, end));
      this.#chunks = [bytes.subarray(end + 4)];
      this.#bytes = bytes.length - end - 4;
      this.#progress();
      if (head.status >= 200) this.#head = head;
    }
  }

  #got(length: number): Got {
    return { status: this.#head?.status ?? 0, body: Buffer.concat(this.#chunks).toString('utf8', 0, length) };
  }
}

/** Throws if it is no head of HTTP/1.1, and {@link ChunkedAnswer}. */
function readHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(first)?.[1];
  const fields = lines.map((line) => /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []);
  const valuesOf = (wanted: string): readonly string[] =>
    fields.flatMap(([, name, value]) =>
      name?.toLowerCase() === wanted && value !== undefined ? [value] : [],
    );
  const lengths = valuesOf('content-length');
  const [length] = lengths;
  if (status === undefined || fields.some((field) => field.length === 0)) throw notHttp();
  if (lengths.length > 1 || (length !== undefined && !/^\d{1,15}$/.test(length))) throw notHttp();
  if (valuesOf('transfer-encoding').length > 0) throw new ChunkedAnswer();
  return { status: Number(status), length: length === undefined ? undefined : Number(length) };
}

function notHttp(): Error {
  return new Error('its answer is not HTTP/1.1');
}
