import type { ServerResponse } from 'node:http';
import { isFleetError } from '../base/errors.ts';
import type { ControllerEvent } from '../reconcile/events.ts';
import { ApiError } from './call.ts';

type Sent = { readonly id: string; readonly text: string };

/** How many events are kept for clients that reconnect. */
const KEPT = 1_000;
/** The limit of event streams; it leaves connections for other requests. */
const MOST_READERS = 64;
/** A client with more unread bytes is disconnected. */
const MOST_UNREAD = 256 * 1024;
/** The keep-alive interval, in ms. */
const PING_MS = 15_000;

/** Events that only a command uses, for the progress of its pass. */
const OMITTED = new Set<ControllerEvent['kind']>([
  'pass-begun',
  'machine-asked',
  'machine-answered',
  'machine-unreachable',
  'planned',
  'wave-begun',
  'changes-sent',
]);

/** The events of a controller as server-sent events. */
export class EventStream {
  /** Makes the ids of another run of the controller invalid. */
  readonly #run: string;
  readonly #sent: Sent[] = [];
  readonly #readers = new Set<ServerResponse>();
  #count = 0;
  #ping: NodeJS.Timeout | undefined;

  constructor(run: string) {
    this.#run = run;
  }

  /** Sends an event; quick, and never throws. */
  handle(event: ControllerEvent): void {
    if (OMITTED.has(event.kind) || ('again' in event && event.again)) return;
    const id = `${this.#run}-${++this.#count}`;
    const { kind, ...data } = event;
    const sent = { id, text: `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data, plain)}\n\n` };
    this.#sent.push(sent);
    if (this.#sent.length > KEPT) this.#sent.shift();
    for (const reader of this.#readers) this.#write(reader, sent.text);
  }

  /**
   * Sends the events since `lastId`, and all later ones. An event `gap` comes first if events are missing: the client
   * reconnected too late, or the controller was restarted. Throws {@link ApiError} 503 when there are too many readers.
   */
  follow(response: ServerResponse, lastId: string | undefined): void {
    if (this.#readers.size >= MOST_READERS)
      throw new ApiError(503, `too many clients read events: the limit is ${MOST_READERS}`);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': fleet\n\n');
    this.#readers.add(response);
    this.#ping ??= setInterval(() => this.#pingAll(), PING_MS);
    response.on('close', () => this.#leave(response));
    if (lastId === undefined) return;
    const at = this.#sent.findIndex(({ id }) => id === lastId);
    if (at < 0) this.#write(response, 'event: gap\ndata: {}\n\n');
    for (const { text } of this.#sent.slice(at + 1)) this.#write(response, text);
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

/** Errors and sets in JSON. */
function plain(_key: string, value: unknown): unknown {
  if (isFleetError(value)) return { code: value.code, message: value.message };
  return value instanceof Set ? [...value] : value;
}
