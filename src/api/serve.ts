import type { ApiSettings } from '../config/config.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import type { EventStream } from './events.ts';
import { createHandler, type HandlerOptions } from './handler.ts';
import type { InheritedSockets } from './inherited.ts';
import { listenAt } from './listen.ts';
import { closeServer, createServer, readTls } from './server.ts';

export type ApiOptions = ClusterOptions &
  Omit<HandlerOptions, 'cluster'> & {
    readonly settings: ApiSettings;
    /** Where there are any, nothing else is listened on. */
    readonly inherited: InheritedSockets;
    readonly events: EventStream;
  };

/** Answers requests over HTTP until it is closed. Throws FleetError `cannot-listen`; then nothing is open. */
export async function serveApi(options: ApiOptions): Promise<{ close(): Promise<void> }> {
  const { settings, inherited, events } = options;
  const tls = await readTls(settings);
  const handler = createHandler({ ...options, cluster: new Cluster(options) });
  if (inherited.areThere) await inherited.serve(handler, tls, settings.insecure);
  const places = inherited.areThere ? [] : settings.listen;
  const servers = places.map((place) => createServer(handler, place.kind === 'tcp' ? tls : undefined));
  const close = async (): Promise<void> => {
    events.close();
    inherited.rest();
    await Promise.all(servers.filter(({ listening }) => listening).map(closeServer));
  };
  try {
    for (const [index, place] of places.entries()) {
      const server = servers[index];
      if (server !== undefined) await listenAt(server, place);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}
