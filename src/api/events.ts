import type { ServerResponse } from 'node:http';
import { isFleetError } from '../base/errors.ts';
import type { ControllerEvent } from '../reconcile/notice.ts';
import { ApiError } from './answer.ts';

type Told = { readonly id: string; readonly text: string };

/** So many events are kept for those who come back. */
const KEPT = 1_000;
/** What is left of connections is for everything else that is asked. */
const MOST_READERS = 64;
/** Who leaves so many bytes unread is dropped. */
const MOST_UNREAD = 256 * 1024;
/** A sign of life for readers and for what is between, in ms. */
const PING_MS = 15_000;

/** Events of use only to a command that waits for its own pass. */
const UNTOLD = new Set<ControllerEvent['kind']>([
  'pass-begun',
  'machine-asked',
  'machine-answered',
  'machine-silent',
  'planned',
  'wave-begun',
  'changes-sent',
]);

/** What a controller tells, handed on as server-sent events while it happens. */
export class EventStream {
  /** Ids of another run of the controller mean nothing to this one. */
  readonly #run: string;
  readonly #told: Told[] = [];
  readonly #readers = new Set<ServerResponse>();
  #count = 0;
  #ping: NodeJS.Timeout | undefined;

  constructor(run: string) {
    this.#run = run;
  }

  /** Hands an event on; quick, and never throws. */
  note(event: ControllerEvent): void {
    if (UNTOLD.has(event.kind) || ('again' in event && event.again)) return;
    const id = `${this.#run}-${++this.#count}`;
    const { kind, ...data } = event;
    const told = { id, text: `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data, plain)}\n\n` };
    this.#told.push(told);
    if (this.#told.length > KEPT) this.#told.shift();
    for (const reader of this.#readers) this.#write(reader, told.text);
  }

  /**
   * Sends what happens from now on, after what has happened since `lastId`. Who comes back too late, or after the
   * controller was started anew, is told so by an event `gap`, and gets what there is. Throws {@link ApiError} 503 when
   * there are too many readers.
   */
  follow(response: ServerResponse, lastId: string | undefined): void {
    if (this.#readers.size >= MOST_READERS)
      throw new ApiError(503, `${MOST_READERS} clients read events already, which is the most`);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': fleet\n\n');
    this.#readers.add(response);
    this.#ping ??= setInterval(() => this.#pingAll(), PING_MS);
    response.on('close', () => this.#leave(response));
    if (lastId === undefined) return;
    const at = this.#told.findIndex(({ id }) => id === lastId);
    if (at < 0) this.#write(response, 'event: gap\ndata: {}\n\n');
    for (const { text } of this.#told.slice(at + 1)) this.#write(response, text);
  }

  /** Ends every stream. */
  close(): void {
    for (const reader of this.#readers) reader.end();
  }

  #write(reader: ServerResponse, text: string): void {
    reader.write(text);
    if (reader.writableLength > MOST_UNREAD) reader.destroy();
  }

  #pingAll(): void {
    for (const reader of this.#readers) this.#write(reader, ': ping\n\n');
  }

  #leave(reader: ServerResponse): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    clearInterval(this.#ping);
    this.#ping = undefined;
  }
}

/** Errors and sets as JSON has them. */
function plain(_key: string, value: unknown): unknown {
  if (isFleetError(value)) return { code: value.code, message: value.message };
  return value instanceof Set ? [...value] : value;
}
