import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ApiError } from './call.ts';

/** The limit of connections of a server. */
const MOST_CONNECTIONS = 256;

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse };

/**
 * Keeps a server open to new clients: beyond the limit it closes an idle connection, the oldest one of the client with
 * the most connections.
 */
export function limitConnections(server: Server): void {
  const sockets = new Set<Socket>();
  const exchanges = new WeakMap<Socket, Exchange>();
  const add = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (sockets.size <= MOST_CONNECTIONS) return;
    const idle = [...sockets].filter((each) => isIdle(exchanges.get(each)));
    const victim = ofBusiest(idle, sockets) ?? socket;
    sockets.delete(victim);
    victim.destroy();
  };
  server.on('connection', add);
  // A TLS socket replaces the plain socket below it, which was counted already.
  server.on('secureConnection', (secure: Socket) => {
    const isBelow = ({ remotePort, remoteAddress }: Socket): boolean =>
      remotePort === secure.remotePort && remoteAddress === secure.remoteAddress;
    for (const socket of sockets) if (isBelow(socket)) sockets.delete(socket);
    add(secure);
  });
  server.prependListener('request', (request, response) =>
    exchanges.set(request.socket, { request, response }),
  );
}

/** Whether the server waits for the client: for a request, for the rest of one, or until the answer is read. */
function isIdle(exchange: Exchange | undefined): boolean {
  return exchange === undefined || !exchange.request.complete || exchange.response.writableEnded;
}

/** The first of `idle` that belongs to the address with the most of all `sockets`. */
function ofBusiest(idle: readonly Socket[], sockets: ReadonlySet<Socket>): Socket | undefined {
  const counts = new Map<string | undefined, number>();
  for (const { remoteAddress } of sockets) counts.set(remoteAddress, (counts.get(remoteAddress) ?? 0) + 1);
  const countOf = ({ remoteAddress }: Socket): number => counts.get(remoteAddress) ?? 0;
  const most = Math.max(...idle.map(countOf));
  return idle.find((socket) => countOf(socket) === most);
}

/** The limits of requests in progress and of waiting requests. */
const MOST_BUSY = 4;
const MOST_WAITING = 64;

type Waiting = { readonly isGone: () => boolean; readonly begin: (mayBegin: boolean) => void };

/** Runs a few requests at once, in their order, and skips those whose client is gone. Other events are handled in between. */
export class RequestQueue {
  readonly #waiting: Waiting[] = [];
  #busy = 0;

  /** The result of `work`; undefined if the client was gone before it began. Throws {@link ApiError} 503. */
  async run<T>(work: () => Promise<T>, isGone: () => boolean): Promise<T | undefined> {
    if (this.#busy >= MOST_BUSY) {
      if (this.#waiting.length >= MOST_WAITING) throw new ApiError(503, 'too many requests');
      const mayBegin = await new Promise<boolean>((begin) => this.#waiting.push({ isGone, begin }));
      if (!mayBegin) return undefined;
    } else this.#busy++;
    try {
      return await work();
    } finally {
      setImmediate(() => this.#next());
    }
  }

  /** Lets the next request begin in place of a finished one. */
  #next(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const mayBegin = !next.isGone();
      next.begin(mayBegin);
      if (mayBegin) return;
    }
    this.#busy--;
  }
}
