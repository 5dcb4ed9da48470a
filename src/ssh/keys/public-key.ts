import { createHash, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { unsigned, WireReader, wireStrings } from './wire.ts';

/** The type of a public key or certificate in wire form, such as `ssh-ed25519`; empty for other data. */
export function keyType(key: Buffer): string {
  const length = key.length < 4 ? 0 : key.readUInt32BE(0);
  return length > key.length - 4 ? '' : key.toString('latin1', 4, 4 + length);
}

/** As OpenSSH prints it: `SHA256:` and base64 without padding. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** Type and fingerprint. */
export function describeKey(key: Buffer): string {
  return `${keyType(key)} ${fingerprint(key)}`;
}

/** The key in a line of a `.pub` file or of known_hosts, `TYPE BASE64 COMMENT`; undefined when it is none. */
export function parsePublicLine(line: string): Buffer | undefined {
  const [type, base64 = ''] = line.trim().split(/\s+/);
  const key = Buffer.from(base64, 'base64');
  return key.length > 4 && keyType(key) === type ? key : undefined;
}

/** The wire form of the public half; undefined for kinds of keys that SSH does not support. */
export function publicKeyBlob(key: KeyObject): Buffer | undefined {
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  if (kty === 'OKP' && crv === 'Ed25519') return wireStrings('ssh-ed25519', decode(x));
  if (kty === 'RSA') return wireStrings('ssh-rsa', unsigned(decode(e)), unsigned(decode(n)));
  const curve = CURVES.find(({ jwk }) => jwk === crv);
  if (kty !== 'EC' || curve === undefined) return undefined;
  const point = Buffer.concat([Buffer.of(4), decode(x), decode(y)]);
  return wireStrings(`ecdsa-sha2-${curve.name}`, curve.name, point);
}

/** True when the signature, in SSH's form, is valid for the key and the data; signatures with SHA-1 are not. */
export function isSignedBy(key: Buffer, data: Buffer, signature: Buffer): boolean {
  try {
    const reader = new WireReader(signature);
    const algorithm = reader.text();
    const value = reader.string();
    const type = keyType(key);
    const isOfKey = type === 'ssh-rsa' ? RSA_HASHES.has(algorithm) : algorithm === type;
    if (!isOfKey || !reader.isAtEnd) return false;
    const hash = RSA_HASHES.get(algorithm) ?? CURVES.find(({ name }) => type.endsWith(name))?.hash ?? null;
    const raw = type.startsWith('ecdsa-') ? fromMpints(value, type) : value;
    return verify(hash, data, { key: publicKeyObject(key), dsaEncoding: 'ieee-p1363' }, raw);
  } catch {
    return false;
  }
}

export type Curve = {
  readonly name: string;
  readonly jwk: string;
  readonly hash: string;
  readonly bytes: number;
};

/** RFC 5656: the name of the curve, in JWK too, the hash that goes with it, and the length of its numbers. */
export const CURVES: readonly Curve[] = [
  { name: 'nistp256', jwk: 'P-256', hash: 'sha256', bytes: 32 },
  { name: 'nistp384', jwk: 'P-384', hash: 'sha384', bytes: 48 },
  { name: 'nistp521', jwk: 'P-521', hash: 'sha512', bytes: 66 },
];

/** RFC 8332: signature algorithm → hash, best first. */
export const RSA_HASHES: ReadonlyMap<string, string> = new Map([
  ['rsa-sha2-512', 'sha512'],
  ['rsa-sha2-256', 'sha256'],
]);

/** Throws for a key of a type without signatures in SSH. */
function publicKeyObject(blob: Buffer): KeyObject {
  const reader = new WireReader(blob);
  const type = reader.text();
  const jwk = ((): JsonWebKey => {
    if (type === 'ssh-ed25519') return { kty: 'OKP', crv: 'Ed25519', x: encode(reader.string()) };
    if (type === 'ssh-rsa') return { kty: 'RSA', e: encode(positive(reader)), n: encode(positive(reader)) };
    const curve = CURVES.find(({ name }) => type === `ecdsa-sha2-${name}`);
    if (curve === undefined || reader.text() !== curve.name) throw new RangeError(`no such key: ${type}`);
    return ecJwk(curve, reader.string());
  })();
  return createPublicKey({ key: jwk, format: 'jwk' });
}

/** The public half of an elliptic curve key from its point in uncompressed form. */
export function ecJwk(curve: Curve, point: Buffer): JsonWebKey {
  const { bytes } = curve;
  if (point[0] !== 4 || point.length !== 1 + 2 * bytes) throw new RangeError('not a point of the curve');
  const x = encode(point.subarray(1, 1 + bytes));
  return { kty: 'EC', crv: curve.jwk, x, y: encode(point.subarray(1 + bytes)) };
}

/** The two numbers of an ECDSA signature, one after the other at full length. */
function fromMpints(value: Buffer, type: string): Buffer {
  const length = CURVES.find(({ name }) => type.endsWith(name))?.bytes ?? 0;
  const reader = new WireReader(value);
  const fixed = (): Buffer => {
    const number = positive(reader);
    // Buffer.alloc throws for a number that is too long.
    return Buffer.concat([Buffer.alloc(length - number.length), number]);
  };
  return Buffer.concat([fixed(), fixed()]);
}

/** base64url, as JWK has it. */
export function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

/** The bytes of an mpint without the zero that keeps it positive. */
export function positive(reader: WireReader): Buffer {
  const number = unsigned(reader.string());
  return number[0] === 0 ? number.subarray(1) : number;
}

function decode(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url');
}
