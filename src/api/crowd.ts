import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How many connections a server has. */
const MOST_CONNECTIONS = 256;

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse };

/**
 * Keeps a server open to new clients, however many others hold connections: when there are too many, one is closed over
 * which nothing is under way here, the oldest one of the client that has the most.
 */
export function admitAll(server: Server): void {
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
  // TLS has a socket of its own over the one that was counted.
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

/** Whether the client is waited for: for a request, the rest of one, or its reading of the answer. */
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
