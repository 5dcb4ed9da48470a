import { causeText, type ErrorCode, FleetError, remedyOf } from '../base/errors.ts';
import { hostAndPort, lowerFirst } from '../base/text.ts';
import { formatDuration } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import type { SshTarget } from './target.ts';

export type FailureOptions = { readonly hint?: string | undefined; readonly cause?: unknown };

/** The phase of a connection: resolving the name, TCP, the SSH handshake, or the login. */
export type OpenPhase = 'name' | 'connect' | 'handshake' | 'authentication';

/** A connection that failed: `Cannot reach machine "m1" (127.77.0.1:22): connection refused`. */
export function cannotReach(
  target: SshTarget,
  code: ErrorCode,
  what: string,
  options: FailureOptions = {},
): FleetError {
  return new FleetError(code, `${cannotReachIt(target)}: ${what}`, options);
}

/** The machine granted no further session over a connection. */
export class NoMoreSessions extends FleetError {
  constructor(target: SshTarget, cause: unknown) {
    super('ssh-turned-away', `${cannotReachIt(target)}: it granted no session`, {
      hint: MAX_SESSIONS,
      cause,
    });
  }
}

/** A failure of which more is known than its code says. */
class KnownFailure extends FleetError {
  constructor({ code, message, hint, cause }: FleetError) {
    super(code, message, { hint, cause });
  }
}

/** A login had ended before a session was requested: no part of the request has been sent. */
export class Unsent extends KnownFailure {}

/** The target itself was not tried: there is no connection to it, or no key to log in with. */
export class NotTried extends KnownFailure {}

/** The host closed the connection before it sent its SSH version, as sshd does at its MaxStartups. It may accept a later one. */
export class TurnedAway extends KnownFailure {}

/** The hint that goes with a refused session. */
export const MAX_SESSIONS =
  'Look for the reason in the log of sshd on the machine; MaxSessions limits the sessions of one connection';

function cannotReachIt(target: SshTarget): string {
  return `Cannot reach machine "${target.name}" (${hostAndPort(target)})`;
}

/** A connection, or a command on it, that was lost: `Lost machine "m1" (127.77.0.1:22): connection closed`. */
export function lost(target: SshTarget, what: string): FleetError {
  return new FleetError('ssh-lost', `Lost machine "${target.name}" (${hostAndPort(target)}): ${what}`);
}

/** SSH_DISCONNECT_KEY_EXCHANGE_FAILED (RFC 4253, 11.1). */
const KEY_EXCHANGE_FAILED = 3;

/** Why a connection could not be opened, from what the socket or ssh2 reported. */
export function openFailure(target: SshTarget, phase: OpenPhase, error: Error): FleetError {
  const { code, level } = error as { readonly code?: unknown; readonly level?: unknown };
  if (typeof code === 'string' && LACKS.has(code)) {
    const what = `${cannotReachIt(target)}: this computer cannot open another connection: ${causeText(error)}`;
    return new FleetError('local', what, { hint: remedyOf(error), cause: error });
  }
  const known = typeof code === 'string' ? SOCKET_ERRORS[code] : undefined;
  if (known !== undefined)
    return cannotReach(target, ...known, { hint: hintFor(target, known[0]), cause: error });
  if (phase === 'name' || phase === 'connect') {
    const what = typeof code === 'string' ? code : error.message;
    return cannotReach(target, 'ssh-local', what, { cause: error });
  }
  if (level === 'protocol') {
    const hint = 'Check the port in "address"';
    return cannotReach(target, 'ssh-turned-away', 'the server there is not an SSH server', { hint });
  }
  // ssh2 cannot continue, as with a banner that is longer than its longest packet; a number is the reason that the other
  // side gave for its DISCONNECT message.
  const isOurs = typeof code !== 'number' || code === KEY_EXCHANGE_FAILED;
  const what = `no SSH connection: ${isOurs ? error.message : quoted(error.message)}`;
  const hint = isOurs ? otherTransport(target) : undefined;
  return cannotReach(target, 'ssh-turned-away', what, { hint, cause: error });
}

/** The hint if ssh2 does not support what a machine requires. */
export function otherTransport({ name }: SshTarget): string {
  return `Set "transport = openssh" in [machine.${name}]: the ssh program may support this machine`;
}

/**
 * The other side closed the connection in that phase; `trouble` is its message, or the one of the byte stream. If it
 * `spoke` before, it is running and refuses this address now (sshd_config(5), MaxStartups and PerSourcePenalties).
 */
export function closedWhile(
  target: SshTarget,
  phase: OpenPhase,
  { trouble, spoke }: { readonly trouble?: string | undefined; readonly spoke: boolean },
): FleetError {
  const step = phase === 'authentication' ? 'authentication' : 'the SSH handshake';
  const hint =
    'Look for the reason in the log of sshd on the machine; MaxStartups, penalties and firewalls are usual causes';
  const why = trouble === undefined ? '' : `: ${trouble}`;
  const code = spoke ? 'ssh-turned-away' : 'ssh-lost';
  return cannotReach(target, code, `the connection was closed during ${step}${why}`, { hint });
}

/** A jump host on the way to the target cannot be used; the code is the one of its failure. */
export function noWay(target: SshTarget, { code, message, hint }: FleetError): FleetError {
  return new NotTried(cannotReach(target, code, lowerFirst(message), { hint }));
}

/** The transport was closed before the connection was open. */
export function closedHere(target: SshTarget): FleetError {
  return cannotReach(target, 'ssh-lost', 'the transport is closed');
}

/** The connection was not open within `connectTimeoutMs`. */
export function timedOut(target: SshTarget, phase: OpenPhase): FleetError {
  const what = {
    name: 'the name server gave no answer',
    connect: 'no answer',
    handshake: 'it accepts connections but does not speak SSH',
    authentication: 'authentication did not finish',
  }[phase];
  const time = formatDuration(target.connectTimeoutMs);
  const code = phase === 'name' ? 'ssh-name' : 'ssh-timeout';
  return cannotReach(target, code, `${what} within ${time}`, { hint: hintFor(target, code) });
}

/** The machine is connected, but has not granted a session within `connectTimeoutMs`. */
export function slowSession(target: SshTarget): FleetError {
  const time = formatDuration(target.connectTimeoutMs);
  return cannotReach(target, 'ssh-timeout', `it did not start a session within ${time}`);
}

/** Errors of socket(2) and connect(2) of this computer, not of a machine. */
const LACKS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** errno → code and message. The first two are of getaddrinfo(3), the others of connect(2). */
const SOCKET_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOTFOUND: ['ssh-name', 'there is no such host name'],
  EAI_AGAIN: ['ssh-name', 'the name server did not answer'],
  ECONNREFUSED: ['ssh-refused', 'connection refused'],
  EHOSTUNREACH: ['ssh-refused', 'no route to host'],
  // Most often this computer has no route to any machine of that network.
  ENETUNREACH: ['ssh-local', 'network unreachable'],
  ETIMEDOUT: ['ssh-timeout', 'no answer'],
  ECONNRESET: ['ssh-lost', 'connection reset'],
  EPIPE: ['ssh-lost', 'connection reset'],
};

/** The hint that goes with a code; undefined if there is none. */
export function hintFor(target: SshTarget, code: ErrorCode): string | undefined {
  const hints: Partial<Record<ErrorCode, string>> = {
    'ssh-name': `Check "address" in [machine.${target.name}]`,
    'ssh-refused': `Check that sshd listens on port ${target.port} there`,
    'ssh-timeout': `Check that the machine is up and that no firewall drops port ${target.port}`,
  };
  return hints[code];
}
