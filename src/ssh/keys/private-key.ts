import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { CURVES, keyType, publicKeyBlob, RSA_HASHES } from './public-key.ts';
import { unsigned, wireStrings } from './wire.ts';

/** A key that signs in this process. */
export type PrivateKey = {
  /** The wire form of RFC 4253 and its kin. */
  readonly publicKey: Buffer;
  readonly key: KeyObject;
};

/** Undefined for kinds of keys that SSH does not know. */
export function toPrivateKey(key: KeyObject): PrivateKey | undefined {
  if (key.asymmetricKeyType === undefined || !KINDS.has(key.asymmetricKeyType)) return undefined;
  const publicKey = publicKeyBlob(createPublicKey(key));
  return publicKey && { publicKey, key };
}

const KINDS: ReadonlySet<string> = new Set(['ed25519', 'ec', 'rsa']);

/** A signature in SSH's form. `algorithm` is one of the key's own: its type, or for RSA one of RFC 8332. */
export function signWith({ key, publicKey }: PrivateKey, data: Buffer, algorithm: string): Buffer {
  const type = keyType(publicKey);
  const curve = CURVES.find(({ name }) => type === `ecdsa-sha2-${name}`);
  const hash = RSA_HASHES.get(algorithm) ?? curve?.hash ?? null;
  const value = sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  if (curve === undefined) return wireStrings(algorithm, value);
  const [r, s] = [value.subarray(0, curve.bytes), value.subarray(curve.bytes)];
  return wireStrings(algorithm, wireStrings(unsigned(r), unsigned(s)));
}
