import type { Server } from 'node:http';
import { formatPlace, type ListenPlace } from '../config/places.ts';
import type { ListenSettings } from '../config/values.ts';
import type { Notice } from '../reconcile/notice.ts';
import { hostNames } from './access.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import type { EventStream } from './events.ts';
import { createHandler, type HandlerOptions } from './handler.ts';
import type { InheritedSockets } from './inherited.ts';
import { isTaken, listenAt } from './listen.ts';
import { closeServer, createServer, readTls } from './server.ts';

export type ApiOptions = ClusterOptions &
  Omit<HandlerOptions, 'cluster'> & {
    readonly settings: ListenSettings;
    /** Where there are any, they take the place of `listen`. */
    readonly inherited: InheritedSockets;
    readonly events: EventStream;
    readonly emit: (notice: Notice) => void;
  };

/** How often a socket that another fleetd of this box has is asked for again, in ms. */
const RETRY_MS = 2_000;

/**
 * Answers requests over HTTP until it is closed. The socket of another fleetd that runs is waited for: one that stands by
 * has it when the other one ends. Throws FleetError `cannot-listen` for anything else; then nothing is open.
 */
export async function serveApi(options: ApiOptions): Promise<{ close(): Promise<void> }> {
  const { settings, inherited, events } = options;
  const tls = await readTls(settings);
  const given = { ...options, cluster: new Cluster(options) };
  const names = hostNames(settings);
  const handler = createHandler(given, { isReadOnly: false, names });
  const reader = createHandler(given, { isReadOnly: true, names });
  if (inherited.areThere) await inherited.serve(handler, tls, settings.listen_insecure);
  const commanded = inherited.areThere ? [] : settings.listen;
  const places = [...commanded, ...settings.listen_read_only];
  const servers = places.map((place, index) =>
    createServer(index < commanded.length ? handler : reader, place.kind === 'tcp' ? tls : undefined),
  );
  const retries: NodeJS.Timeout[] = [];
  const close = async (): Promise<void> => {
    for (const retry of retries) clearInterval(retry);
    events.close();
    inherited.rest();
    await Promise.all(servers.filter(({ listening }) => listening).map(closeServer));
  };
  try {
    for (const [index, place] of places.entries()) {
      const server = servers[index];
      if (server === undefined || (await listenIfFree(server, place))) continue;
      options.emit({ kind: 'socket-taken', path: formatPlace(place) });
      retries.push(listenWhenFree(server, place));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

/** False when another process answers on that socket. */
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
    // Other faults were reported when this process started, or do not justify its end.
    const free = listenIfFree(server, place).catch(() => false);
    void free.then((listens) => listens && clearInterval(retry));
  }, RETRY_MS);
  return retry;
}
