import http from 'node:http';
import https from 'node:https';
import { FleetError } from '../base/errors.ts';
import { readTrusted } from '../base/trusted-file.ts';
import type { ListenSettings } from '../config/values.ts';
import type { Handler } from './handler.ts';
import { limitConnections } from './limits.ts';

/** The limits of a client, times in ms. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
} as const;
/** The limit of a TLS handshake, in ms. */
const HANDSHAKE_MS = 10_000;
/** After how long an idle connection is closed, in ms. */
const IDLE_MS = 60_000;

/** Certificate and key of a server, and the CA of client certificates. */
export type Tls = { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer | undefined };

export function createServer(handler: Handler, tls: Tls | undefined): http.Server {
  let isPlain = tls === undefined;
  const listener: http.RequestListener = (request, response) => {
    response.shouldKeepAlive = false;
    handler(request, response, isPlain);
  };
  const server = tls === undefined ? http.createServer(LIMITS, listener) : secured(listener, tls);
  // The address of a Unix socket is null or its path.
  server.once('listening', () => {
    const address = server.address();
    isPlain &&= typeof address === 'object' && address !== null;
  });
  limitConnections(server);
  server.timeout = IDLE_MS;
  // Node handles pipelined requests concurrently, even after the client has gone, so a connection has one request.
  server.maxRequestsPerSocket = 1;
  return server;
}

/** Undefined if no TLS files are configured. Throws FleetError `cannot-listen`. */
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

/** Closes a server and all its connections. */
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
      hint: 'Both must be PEM files, and match',
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
    throw new FleetError('cannot-listen', `Cannot read a TLS file: ${why}`, { cause: error, ...hint });
  }
}
