import http from 'node:http';
import https from 'node:https';
import { FleetError } from '../base/errors.ts';
import { readTrusted } from '../base/trusted-file.ts';
import type { ListenSettings } from '../config/values.ts';
import { admitAll } from './crowd.ts';
import type { Handler } from './handler.ts';

/** The limits of a client, times in ms: a connection is not held without use. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
} as const;
/** How long a client may take for its part of TLS, in ms. */
const HANDSHAKE_MS = 10_000;
/** A connection over which nothing moves for so long is closed. */
const IDLE_MS = 60_000;

/** Certificate and key of a server, and the CA that clients have to be known to. */
export type Tls = { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer | undefined };

export function createServer(handler: Handler, tls: Tls | undefined): http.Server {
  let isPlain = tls === undefined;
  const listener: http.RequestListener = (request, response) => {
    response.shouldKeepAlive = false;
    handler(request, response, isPlain);
  };
  const server = tls === undefined ? http.createServer(LIMITS, listener) : secured(listener, tls);
  // A socket of the file system has no address, or its path.
  server.once('listening', () => {
    const address = server.address();
    isPlain &&= typeof address === 'object' && address !== null;
  });
  admitAll(server);
  server.timeout = IDLE_MS;
  // Node works on all requests of a connection at once, also when the client has gone: there is one, and then it ends.
  server.maxRequestsPerSocket = 1;
  return server;
}

/** Reads the files of TLS; undefined when there are none. Throws FleetError `cannot-listen`. */
export async function readTls(settings: ListenSettings): Promise<Tls | undefined> {
  const {
    listen_cert_file: certFile,
    listen_key_file: keyFile,
    listen_client_ca_file: clientCaFile,
  } = settings;
  if (certFile === undefined || keyFile === undefined) return undefined;
  return {
    cert: read(certFile),
    key: read(keyFile),
    ca: clientCaFile === undefined ? undefined : read(clientCaFile),
  };
}

/** Lets go of a server and of all its connections. */
export function closeServer(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function secured(listener: http.RequestListener, { cert, key, ca }: Tls): http.Server {
  const who = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true };
  try {
    return https.createServer(
      { ...LIMITS, handshakeTimeout: HANDSHAKE_MS, cert, key, minVersion: 'TLSv1.2', ...who },
      listener,
    );
  } catch (error) {
    const message = `Cannot use listen_cert_file and listen_key_file: ${error instanceof Error ? error.message : error}`;
    throw new FleetError('cannot-listen', message, {
      hint: 'Both are in PEM, and belong together',
      cause: error,
    });
  }
}

function read(path: string): Buffer {
  try {
    return readTrusted(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    const hint = error instanceof FleetError && error.hint !== undefined ? { hint: error.hint } : {};
    throw new FleetError('cannot-listen', `Cannot read a file of TLS: ${why}`, { cause: error, ...hint });
  }
}
