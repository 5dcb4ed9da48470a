import { matchesPattern } from '../pattern.ts';
import { isSignedBy, keyType } from './public-key.ts';
import { WireReader, wireStrings } from './wire.ts';

/** An OpenSSH certificate (PROTOCOL.certkeys), not yet checked in any way. */
export type Certificate = {
  readonly kind: 'user' | 'host' | 'unknown';
  /** The certified key, in wire form. */
  readonly publicKey: Buffer;
  /** User or host names; an empty list means all. */
  readonly principals: readonly string[];
  /** Seconds since 1970. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: readonly string[];
  /** The key of the authority that signed it. */
  readonly authority: Buffer;
  readonly isSigned: boolean;
};

const SUFFIX = '-cert-v01@openssh.com';

/** The plain type of the key in a certificate of that type; undefined for plain types. */
export function certifiedType(type: string): string | undefined {
  if (!type.endsWith(SUFFIX)) return undefined;
  const plain = type.slice(0, -SUFFIX.length);
  // Security keys carry the domain in their plain names too.
  return plain.startsWith('sk-') ? `${plain}@openssh.com` : plain;
}

/** The name of a certificate's type, or of a signature algorithm for one: `rsa-sha2-512-cert-v01@openssh.com`. */
export function certificateName(plain: string): string {
  return `${plain.replace(/@openssh\.com$/, '')}${SUFFIX}`;
}

/** Undefined for anything but a valid certificate. */
export function parseCertificate(blob: Buffer): Certificate | undefined {
  const plainType = certifiedType(keyType(blob));
  const fields = PUBLIC_FIELDS[plainType ?? ''];
  if (plainType === undefined || fields === undefined) return undefined;
  try {
    return readFields(blob, plainType, fields);
  } catch {
    return undefined;
  }
}

/** The key itself, without the certificate that may be around it. */
export function plainKey(blob: Buffer): Buffer {
  return parseCertificate(blob)?.publicKey ?? blob;
}

/** The number of strings of the public key in a certificate, after its type. */
const PUBLIC_FIELDS: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
};

function readFields(blob: Buffer, plainType: string, fields: number): Certificate {
  const reader = new WireReader(blob);
  reader.string();
  reader.string(); // a nonce
  const publicKey = wireStrings(plainType, ...Array.from({ length: fields }, () => reader.string()));
  reader.uint64(); // a serial number
  const kind = KINDS[reader.uint32()] ?? 'unknown';
  reader.text(); // the key id
  const principals = new WireReader(reader.string()).strings().map(String);
  const [validAfter, validBefore] = [reader.uint64(), reader.uint64()];
  const criticalOptions = new WireReader(reader.string())
    .strings()
    .filter((_, i) => i % 2 === 0)
    .map(String);
  reader.string(); // extensions
  reader.string(); // reserved
  const authority = reader.string();
  const signed = blob.subarray(0, reader.position);
  const signature = reader.string();
  // A certificate cannot certify another one, and nothing may follow the signature.
  const isSigned = reader.isAtEnd && isSignedBy(authority, signed, signature);
  const validity = { validAfter, validBefore };
  return { kind, publicKey, principals, ...validity, criticalOptions, authority, isSigned };
}

const KINDS: Readonly<Record<number, 'user' | 'host'>> = { 1: 'user', 2: 'host' };

/**
 * Why a certificate does not prove the identity of a host; undefined if it does. The authority is not checked. `now` is
 * in ms since 1970.
 */
export function certificateFault(certificate: Certificate, host: string, now: number): string | undefined {
  const { kind, isSigned, principals, criticalOptions, validAfter, validBefore } = certificate;
  const seconds = BigInt(Math.floor(now / 1000));
  if (!isSigned) return 'its signature is wrong';
  if (kind !== 'host') return 'it is not for hosts';
  if (criticalOptions.length > 0) return `it has options that are not known: ${criticalOptions.join(', ')}`;
  if (seconds < validAfter) return `it is valid from ${day(validAfter)} on`;
  if (seconds >= validBefore) return `it has expired on ${day(validBefore)}`;
  // A certificate without names would be valid for every host that has its key.
  if (principals.length === 0) return 'it names no host';
  const isFor = principals.some((principal) => matchesPattern(host.toLowerCase(), principal.toLowerCase()));
  return isFor ? undefined : `it is for ${principals.map((name) => `"${name}"`).join(', ')}`;
}

function day(seconds: bigint): string {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? 'a day that never comes' : date.toISOString().replace(/\.\d+Z$/, 'Z');
}
