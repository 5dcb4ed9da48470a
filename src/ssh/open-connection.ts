import { connect, type Socket } from 'node:net';
import type { Client, ConnectConfig } from 'ssh2';
import type { FleetError } from '../base/errors.ts';
import type { Authentication } from './authentication.ts';
import { Connection, pingInterval } from './connection.ts';
import { closedHere, closedWhile, type OpenPhase, openFailure, timedOut } from './failure.ts';
import { HostKeyCheck, type HostKeyVerdict, hostKeyAlgorithms } from './host-key.ts';
import type { KnownHostKey } from './known-hosts.ts';
import type { SshTarget } from './target.ts';

/**
 * What became of an attempt: a connection, with the host key if it is to be learnt; or a host key that stopped
 * the attempt before anything but the key exchange was said.
 */
export type Opened =
  | { readonly kind: 'open'; readonly connection: Connection; readonly newHostKey: Buffer | undefined }
  | { readonly kind: 'host-key'; readonly key: Buffer; readonly verdict: Refused };

type Refused = Exclude<HostKeyVerdict, { kind: 'known' }>;

export type Attempt = {
  readonly client: Client;
  readonly target: SshTarget;
  readonly authentication: Authentication;
  /** What the file of known hosts says of this host. */
  readonly knownKeys: readonly KnownHostKey[];
  /** The agent that sessions may be given, if they ask for it; it plays no part in the login. */
  readonly agentSocket: string | undefined;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
};

/**
 * Connects, checks the host key and logs in, all within `connectTimeoutMs`. An unknown host key is accepted
 * only where the target says `accept-new`; a person is asked elsewhere, when nothing is held open. Rejects with
 * a FleetError with one of the `ssh-` codes.
 */
export function openConnection(attempt: Attempt): Promise<Opened> {
  const { client, target, signal } = attempt;
  if (signal.aborted) return Promise.reject(closedHere(target));
  // Nagle's algorithm costs 40 ms a connection, and ssh2 leaves it on.
  const socket = connect({ host: target.host, port: target.port, noDelay: true });
  return new Promise((resolve, reject) => {
    const check = new HostKeyCheck(attempt.knownKeys, target.strictHostKeyChecking === 'accept-new');
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      settle();
    };
    const fail = (error: FleetError): void => {
      socket.destroy();
      finish(() => reject(error));
    };
    const abort = (): void => fail(closedHere(target));
    const phase = followPhase(attempt, socket, fail);
    const timer = setTimeout(() => fail(timedOut(target, phase())), target.connectTimeoutMs);
    signal.addEventListener('abort', abort, { once: true });

    client.on('ready', () => {
      const { newHostKey } = check;
      finish(() => resolve({ kind: 'open', connection: new Connection(client, socket, target), newHostKey }));
    });
    client.connect(
      clientConfig(attempt, socket, (key, answer) => {
        const verdict = check.judge(key);
        if (verdict.kind !== 'known') finish(() => resolve({ kind: 'host-key', key, verdict }));
        answer(verdict.kind === 'known');
        if (verdict.kind !== 'known') socket.destroy();
      }),
    );
  });
}

function clientConfig(
  { target, knownKeys, authentication, agentSocket }: Attempt,
  socket: Socket,
  hostVerifier: (key: Buffer, answer: (isTrusted: boolean) => void) => undefined,
): ConnectConfig {
  return {
    sock: socket,
    username: target.user,
    // Only what this function hands to its callback counts: ssh2 takes any return value but false and
    // undefined, a promise of false included, for a yes.
    hostVerifier,
    algorithms: { serverHostKey: hostKeyAlgorithms(knownKeys) },
    authHandler: authentication.next,
    ...(agentSocket !== undefined && agentSocket !== '' && { agent: agentSocket }),
    readyTimeout: 0,
    keepaliveInterval: pingInterval(target),
    // The connection itself watches for silence; ssh2 only sends the pings.
    keepaliveCountMax: Number.POSITIVE_INFINITY,
  };
}

/** Turns every way in which ssh2 can fail before the login into one error; returns what tells the phase. */
function followPhase(
  { client, target, authentication }: Attempt,
  socket: Socket,
  fail: (error: FleetError) => void,
): () => OpenPhase {
  let phase: OpenPhase = 'connect';
  client.on('connect', () => {
    phase = 'handshake';
  });
  client.on('handshake', () => {
    phase = 'authentication';
  });
  client.on('error', (error: Error & { level?: string; code?: unknown }) => {
    const isAboutKeys = error.level === 'agent' || error.level === 'client-authentication';
    // ssh2 reports a key or an agent that cannot sign, and goes on with the next key.
    if (isAboutKeys && !authentication.isOver) return authentication.noteProblem(error.message);
    if (isAboutKeys) return fail(authentication.failure(undefined));
    // A number is the reason of a DISCONNECT message, such as "Too many authentication failures".
    const wasTold = phase === 'authentication' && typeof error.code === 'number';
    fail(
      wasTold ? authentication.failure(error.message) : openFailure(target, phase, error, socket.bytesRead),
    );
  });
  client.on('close', () => fail(closedWhile(target, phase)));
  return () => phase;
}
