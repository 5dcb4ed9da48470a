import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client, ConnectConfig } from 'ssh2';
import { isFleetError } from '../../base/errors.ts';
import { closedHere, closedWhile, type OpenPhase, openFailure, TurnedAway, timedOut } from '../failure.ts';
import {
  HostKeyCheck,
  type HostKeyVerdict,
  hostKeyAlgorithms,
  type KnownHost,
} from '../host-keys/known-host.ts';
import { certificateName } from '../keys/certificate.ts';
import type { Credentials } from '../keys/keys.ts';
import type { SshTarget } from '../target.ts';
import type { Ask } from '../transport.ts';
import { Authentication, createDeadline, type Deadline } from './authentication.ts';
import { ByteCounter, type ByteStream, dial, gatherWrites } from './byte-stream.ts';
import { Connection, pingInterval } from './connection.ts';
import { HostCertificates, offeredAlgorithms } from './offer.ts';
import { EarlySession, UserAuth } from './user-auth.ts';

/**
 * The result of an attempt: a connection, with the host key if it has to be written to a file, or a host key that ended
 * the attempt during the key exchange.
 */
export type Opened =
  | { readonly kind: 'open'; readonly connection: Connection; readonly newHostKey: Buffer | undefined }
  | { readonly kind: 'host-key'; readonly key: Buffer; readonly verdict: Refused };

type Refused = Exclude<HostKeyVerdict, { kind: 'known' }>;

export type Attempt = {
  readonly client: Client;
  readonly target: SshTarget;
  readonly credentials: Credentials;
  /** Asks the user during the login; undefined without a terminal. */
  readonly ask: Ask | undefined;
  /** The entries of the known_hosts files about this host. */
  readonly knownHost: KnownHost;
  /** Whether the first use of the connection is a session. */
  readonly forSession: boolean;
  /** The connection to the last jump host, if there is one. */
  readonly jumpHost: Connection | undefined;
  /** The timeout of the attempt. */
  readonly timeoutMs: number;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
};

/**
 * Connects, checks the host key and logs in, all within `timeoutMs`. An unknown host key is accepted only where
 * the target has `accept-new`; the caller asks the user later, without an open connection. Rejects with a FleetError
 * with one of the `ssh-` codes, {@link TurnedAway} among them.
 */
export async function openConnection(attempt: Attempt): Promise<Opened> {
  const { target, signal, timeoutMs } = attempt;
  if (signal.aborted) throw closedHere(target);
  const over = new AbortController();
  const progress: Progress = { phase: needsLookUp(attempt) ? 'name' : 'connect', line: undefined };
  try {
    return await new Promise<Opened>((resolve, reject) => {
      const deadline = createDeadline(timeoutMs, () => reject(timedOut(target, progress.phase)));
      const abort = (): void => reject(closedHere(target));
      signal.addEventListener('abort', abort, { once: true });
      over.signal.addEventListener('abort', () => {
        deadline.cancel();
        signal.removeEventListener('abort', abort);
      });
      connectAndLogIn(attempt, progress, deadline, over.signal).then(resolve, reject);
    });
  } catch (error) {
    progress.line?.stream.destroy();
    throw error;
  } finally {
    over.abort();
  }
}

function needsLookUp({ target, jumpHost }: Attempt): boolean {
  return jumpHost === undefined && target.via.kind !== 'command' && isIP(target.host) === 0;
}

/** The progress of an attempt. */
type Progress = { phase: OpenPhase; line: ByteStream | undefined };

async function connectAndLogIn(
  attempt: Attempt,
  progress: Progress,
  deadline: Deadline,
  over: AbortSignal,
): Promise<Opened> {
  const { target, jumpHost } = attempt;
  const resolved = (): void => {
    progress.phase = 'connect';
  };
  const line = await dial(target, jumpHost, over, resolved).catch((error: Error) => {
    throw isFleetError(error) ? error : openFailure(target, progress.phase, error);
  });
  if (over.aborted) line.stream.destroy();
  progress.line = line;
  progress.phase = 'handshake';
  return logIn(attempt, line, progress, deadline);
}

function logIn(attempt: Attempt, line: ByteStream, progress: Progress, deadline: Deadline): Promise<Opened> {
  const { client, target } = attempt;
  const { stream } = line;
  const check = new HostKeyCheck(attempt.knownHost, target.strictHostKeyChecking === 'accept-new');
  return new Promise((resolve, reject) => {
    client.on('handshake', () => {
      progress.phase = 'authentication';
    });
    client.on('ready', () => {
      const connection = new Connection(client, line, counter, target, authentication.credential);
      resolve({ kind: 'open', connection, newHostKey: check.newHostKey });
    });
    const closed = (): void => {
      const error = closedWhile(target, progress.phase, {
        trouble: line.trouble() ?? counter.greeting,
        spoke: counter.bytesRead > 0,
      });
      const mayAccept = progress.phase === 'handshake' && !line.isBroken();
      reject(mayAccept ? new TurnedAway(error) : error);
    };
    client.on('close', closed);
    client.on('error', (error: Error & { level?: string; code?: unknown }) => {
      // A number is the reason of a DISCONNECT message, such as "Too many authentication failures".
      const wasTold = progress.phase === 'authentication' && typeof error.code === 'number';
      if (wasTold) return reject(authentication.failure(error.message));
      return isHangUp(error, counter) ? closed() : reject(openFailure(target, progress.phase, error));
    });
    const verify = (key: Buffer, answer: (isTrusted: boolean) => void): undefined => {
      const verdict = check.judge(key);
      if (verdict.kind !== 'known') resolve({ kind: 'host-key', key, verdict });
      else certificates?.admit(key);
      answer(verdict.kind === 'known');
      if (verdict.kind !== 'known') stream.destroy();
    };
    gatherWrites(stream);
    client.connect(clientConfig(attempt, stream, verify));
    const certificates = offerCertificates(attempt);
    // Compression begins with the login, so a request before its success cannot be read.
    const isEarly = attempt.forSession && !target.compression;
    const session = isEarly ? new EarlySession(client) : undefined;
    const auth = new UserAuth(client, target.user, session, () => {
      void authentication.run().catch(reject);
    });
    const authentication = new Authentication(attempt, auth, deadline);
    // After ssh2, which pauses the stream until it reads itself.
    const counter = new ByteCounter(stream);
  });
}

/**
 * Whether the other side ended the connection before it sent its SSH version; ssh2 reports that as a protocol error.
 * sshd sends a line of plain text first when it refuses a client.
 */
function isHangUp(
  error: Error & { level?: string; code?: unknown },
  { bytesRead, greeting }: ByteCounter,
): boolean {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return true;
  return error.level === 'protocol' && (bytesRead === 0 || greeting !== undefined);
}

/** Certificates are offered if the known_hosts files name an authority for this host. */
function offerCertificates({ client, target, knownHost }: Attempt): HostCertificates | undefined {
  if (!knownHost.hasAuthority) return undefined;
  const { hostKeys } = target.algorithms;
  const names = hostKeyAlgorithms(knownHost).map(certificateName);
  return new HostCertificates(
    client,
    names.filter((name) => hostKeys?.includes(name) ?? true),
  );
}

function clientConfig(
  { target, knownHost }: Attempt,
  stream: Duplex,
  hostVerifier: (key: Buffer, answer: (isTrusted: boolean) => void) => undefined,
): ConnectConfig {
  const { identityAgent } = target;
  return {
    sock: stream,
    username: target.user,
    hostVerifier,
    algorithms: offeredAlgorithms(target, knownHost),
    // ssh2 tries nothing by itself: see UserAuth.
    authHandler: () => false,
    // The agent that sessions can forward; ssh2 does not use it for the login.
    ...(identityAgent !== undefined && identityAgent !== '' && { agent: identityAgent }),
    readyTimeout: 0,
    keepaliveInterval: pingInterval(target),
    // The connection itself watches for silence; ssh2 only sends the pings.
    keepaliveCountMax: Number.POSITIVE_INFINITY,
  };
}
