import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { EventStream } from '../../src/api/events.ts';
import { InheritedSockets } from '../../src/api/listen.ts';
import { serveApi } from '../../src/api/serve.ts';
import type { FleetError } from '../../src/base/errors.ts';
import type { ListenPlace } from '../../src/config/places.ts';
import type { ListenSettings } from '../../src/config/values.ts';
import { Metrics } from '../../src/metrics/metrics.ts';
import type { House } from '../controller/support.ts';

/** What one request was answered with; `body` is what JSON said, or the text. */
export type Said = { readonly status: number; readonly body: unknown };

export type Asking = {
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

type ApiChanges = {
  readonly socketPath?: string;
  readonly origin?: string;
  readonly leads?: () => boolean;
  readonly electionError?: () => FleetError | undefined;
  readonly names?: readonly string[];
  /** Where else it is to listen, and where nothing can be changed. */
  readonly commands?: ListenPlace;
  readonly reads?: ListenPlace;
};

/** A folder that goes away with the test. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-api-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function listenAt({ commands, reads, names = [] }: ApiChanges, path: string): ListenSettings {
  const socket: ListenPlace = { kind: 'unix', path };
  const listen = commands === undefined ? [socket] : [socket, commands];
  return {
    listen,
    listen_read_only: reads === undefined ? [] : [reads],
    listen_names: names,
    listen_insecure: false,
  };
}

/** A port of the loopback that is free at the moment. */
export async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The API of the controller of a house. */
export class Api {
  readonly bugs: unknown[] = [];
  /** What it said of itself. */
  readonly notices: string[] = [];
  readonly metrics = new Metrics();
  readonly events = new EventStream('run');
  readonly socketPath: string;

  /** Ends it before the test does. */
  close: () => Promise<void> = async () => undefined;

  private constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** Serves until the test ends, on a separate socket by default. */
  static async of(house: House, changes: ApiChanges = {}): Promise<Api> {
    const { socketPath, origin = 'here', leads = () => true, electionError = () => undefined } = changes;
    const api = new Api(socketPath ?? join(await makeFolder(), 'fleet.sock'));
    house.listeners.push(
      (event) => api.metrics.handle(event),
      (event) => api.events.handle(event),
    );
    const { close } = await serveApi({
      registry: house.watchedRegistry,
      watcher: house.controller,
      origin,
      clock: { now: () => Date.now() },
      leads,
      electionError,
      settings: listenAt(changes, api.socketPath),
      inherited: new InheritedSockets({}, 1),
      metrics: api.metrics,
      events: api.events,
      onBug: (error) => void api.bugs.push(error),
      emit: ({ kind }) => void api.notices.push(kind),
    });
    api.close = close;
    onTestFinished(close);
    return api;
  }

  get(path: string): Promise<Said> {
    return this.ask('GET', path);
  }

  put(path: string, body: object): Promise<Said> {
    const headers = { 'content-type': 'application/json' };
    return this.ask('PUT', path, { body: JSON.stringify(body), headers });
  }

  ask(method: string, path: string, asking: Asking = {}): Promise<Said> {
    return ask({ socketPath: this.socketPath }, method, path, asking);
  }
}

/** Sends one request, over a separate connection. */
export async function ask(
  where: http.RequestOptions,
  method: string,
  path: string,
  { body, headers = {} }: Asking = {},
): Promise<Said> {
  const response = await open(where, method, path, { headers, ...(body !== undefined && { body }) });
  const answer = await text(response);
  const isJson = response.headers['content-type'] === 'application/json';
  return { status: response.statusCode ?? 0, body: isJson ? JSON.parse(answer) : answer };
}

/** Sends a request and resolves with the answer as soon as it begins. */
export function open(
  where: http.RequestOptions,
  method: string,
  path: string,
  { body, headers = {} }: Asking = {},
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = http.request({ ...where, method, path, headers, agent: false }, resolve);
    request.on('error', reject);
    request.end(body);
  });
}
