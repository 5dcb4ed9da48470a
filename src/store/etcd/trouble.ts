import { FleetError } from '../../base/errors.ts';
import { parseObject } from '../../base/json.ts';
import type { HttpAnswer } from './http.ts';

/** Codes of gRPC, as the gateway writes them: https://grpc.io/docs/guides/status-codes */
const GRPC = {
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  unauthenticated: 16,
} as const;

const DEFINITE: readonly number[] = Object.values(GRPC);

/** An answer of etcd that is not a result. */
export type Refusal = { readonly code: number; readonly message: string };

/**
 * Parses an answer that is not a result: a refusal, the same from any member, or the reason why this member cannot
 * serve (it has no leader, it is shutting down, it is not etcd).
 */
export function readRefusal({ status, body }: HttpAnswer): Refusal | string {
  const { code, message, error } = parseObject(body) ?? {};
  const text = typeof message === 'string' ? message : error;
  if (typeof code !== 'number' || typeof text !== 'string') return `not an answer of etcd: HTTP ${status}`;
  return DEFINITE.includes(code) ? { code, message: text } : text;
}

/** True if the request was refused because the token is no longer valid. */
export function wantsNewToken({ code, message }: Refusal): boolean {
  return code === GRPC.unauthenticated || /revision of auth store is old/.test(message);
}

/** True for a revision that has been compacted. */
export function isCompacted({ code, message }: Refusal): boolean {
  return code === GRPC.outOfRange && /compacted/.test(message);
}

/** The error for a refusal of etcd. */
export function refused({ message }: Refusal): FleetError {
  const hint = HINTS.find(([words]) => message.includes(words))?.[1];
  return new FleetError('registry-unavailable', `The etcd registry refused: ${message}`, { hint });
}

const HINTS: readonly (readonly [string, string])[] = [
  ['invalid user ID or password', 'check etcd_user and etcd_password_file in fleet.conf'],
  ['user name is empty', 'this etcd wants a user: set etcd_user and etcd_password_file in fleet.conf'],
  ['authentication is not enabled', 'this etcd knows no users: remove etcd_user from fleet.conf'],
  [
    'permission denied',
    'give the etcd user read and write access to the prefix, or name the right prefix in fleet.conf',
  ],
  ['space exceeded', 'etcd is full: compact and defragment it, then "etcdctl alarm disarm"'],
  ['too large', 'ask for fewer units at once'],
];

/** An endpoint that did not answer, and why; `code` is the one of the operating system or of TLS. */
export type Silence = { readonly endpoint: string; readonly why: string; readonly code: string };

/** The error for when no endpoint answered. */
export function unreachable(silences: readonly Silence[]): FleetError {
  const tried = silences.map(({ endpoint, why }) => `${endpoint} (${why})`).join(', ');
  return new FleetError('registry-unavailable', `Cannot reach the etcd registry: ${tried}`, {
    hint: hintFor(silences),
  });
}

function hintFor(silences: readonly Silence[]): string {
  const has = (pattern: RegExp): boolean =>
    silences.some(({ why, code }) => pattern.test(code) || pattern.test(why));
  if (has(/ALTNAME/)) return 'write the name in fleet.conf for which the certificate of etcd was made';
  if (has(/CERT_HAS_EXPIRED/))
    return 'renew the certificate of etcd; if it is still valid, set the clock of this computer';
  if (has(/CERT_NOT_YET_VALID/))
    return 'set the clock of this computer, or that of the one that made the certificate';
  if (has(/SELF_SIGNED|UNABLE_TO|CERT_|ISSUER/))
    return 'check that etcd_ca_file in fleet.conf is the CA of this etcd';
  if (has(/alert|certificate|ERR_SSL|EPROTO|ERR_OSSL/i))
    return 'check etcd_cert_file and etcd_key_file in fleet.conf, and whether this etcd speaks TLS (etcds://)';
  if (has(/HTTP 404/)) return 'fleet needs etcd 3.4 or later with its JSON gateway (--enable-grpc-gateway)';
  if (has(/connection closed|HPE_/))
    return 'check whether this etcd speaks TLS: then write etcds:// in fleet.conf';
  return 'check that etcd runs, and "registry" in fleet.conf';
}
