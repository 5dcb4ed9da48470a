import type { Server } from 'node:http';
import { formatListenPlace, type ListenPlace } from '../config/places.ts';
import type { ListenSettings } from '../config/values.ts';
import type { Notice } from '../reconcile/events.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import type { EventStream } from './events.ts';
import { createHandler, type HandlerOptions, hostNames } from './handler.ts';
import { closeServer, createServer, type InheritedSockets, isTaken, listenAt, readTls } from './listen.ts';

export type ApiOptions = ClusterOptions &
  Omit<HandlerOptions, 'cluster'> & {
    readonly settings: ListenSettings;
    /** If there are any, they replace `listen`. */
    readonly inherited: InheritedSockets;
    readonly events: EventStream;
    readonly emit: (notice: Notice) => void;
  };

/** The interval of attempts to listen on a socket that another fleetd of this host has, in ms. */
const RETRY_MS = 2_000;

/**
 * Answers requests over HTTP until it is closed. A standby waits for the socket of a running fleetd, and gets it when that
 * process ends. Any other failure throws FleetError `cannot-listen` and leaves nothing open.
 */
export async function serveApi(options: ApiOptions): Promise<{ close(): Promise<void> }> {
  const { settings, inherited, events } = options;
  const tls = await readTls(settings);
  const given = { ...options, cluster: new Cluster(options) };
  const names = hostNames(settings);
  const handler = createHandler(given, { isReadOnly: false, names });
  const reader = createHandler(given, { isReadOnly: true, names });
  if (inherited.exist) await inherited.serve(handler, tls, settings.listen_insecure);
  const writable = inherited.exist ? [] : settings.listen;
  const places = [...writable, ...settings.listen_read_only];
  const servers = places.map((place, index) =>
    createServer(index < writable.length ? handler : reader, place.kind === 'tcp' ? tls : undefined),
  );
  const retries: NodeJS.Timeout[] = [];
  const close = async (): Promise<void> => {
    for (const retry of retries) clearInterval(retry);
    events.close();
    inherited.pause();
    await Promise.all(servers.filter(({ listening }) => listening).map(closeServer));
  };
  try {
    for (const [index, place] of places.entries()) {
      const server = servers[index];
      if (server === undefined || (await listenIfFree(server, place))) continue;
      options.emit({ kind: 'socket-taken', path: formatListenPlace(place) });
      retries.push(listenWhenFree(server, place));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

/** False if another process answers on that socket. */
async function listenIfFree(server: Server, place: ListenPlace): Promise<boolean> {
  try {
    await listenAt(server, place);
    return true;
  } catch (error) {
    if (place.kind === 'unix' && isTaken(error)) return false;
    throw error;
  }
}

function listenWhenFree(server: Server, place: ListenPlace): NodeJS.Timeout {
  const retry = setInterval(() => {
    // Other failures were reported at the start of this process, or do not justify its end.
    const free = listenIfFree(server, place).catch(() => false);
    void free.then((listens) => listens && clearInterval(retry));
  }, RETRY_MS);
  return retry;
}
