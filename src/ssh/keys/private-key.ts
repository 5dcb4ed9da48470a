import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { CURVES, keyType, publicKeyBlob, RSA_HASHES } from './public-key.ts';
import { unsigned, wireStrings } from './wire.ts';

/** A key that signs in this process. */
export type PrivateKey = {
  /** The wire form of RFC 4253 and the RFCs for other kinds of keys. */
  readonly publicKey: Buffer;
  readonly key: KeyObject;
};

/** Undefined for kinds of keys that SSH does not support. */
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

/** A key pair as OpenSSH keeps it in files: the private half, and the line with the public half. */
export type NewKey = { readonly privateText: string; readonly publicLine: string };

/** Makes an ed25519 key without a passphrase, in OpenSSH's own format (PROTOCOL.key). */
export function newKey(comment: string): NewKey {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const [seed, point] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
  const publicBlob = wireStrings('ssh-ed25519', point);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    wireStrings('ssh-ed25519', point, Buffer.concat([seed, point]), comment),
  ]);
  // Padded to whole blocks of 8 bytes with 1, 2, 3, …
  const padding = Buffer.from(Array.from({ length: -secret.length & 7 }, (_, index) => index + 1));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    wireStrings('none', 'none', ''),
    Buffer.of(0, 0, 0, 1),
    wireStrings(publicBlob, Buffer.concat([secret, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    privateText: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicLine: `ssh-ed25519 ${publicBlob.toString('base64')} ${comment}`,
  };
}
