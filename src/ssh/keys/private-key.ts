import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  type DecipherGCM,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { CURVES, ecJwk, encode, keyType, positive, publicKeyBlob, RSA_HASHES } from './public-key.ts';
import { unsigned, WireReader, wireStrings, wireUint32 } from './wire.ts';

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

const MAGIC = 'openssh-key-v1\0';

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
    Buffer.from(MAGIC),
    wireStrings('none', 'none', ''),
    wireUint32(1),
    wireStrings(publicBlob, Buffer.concat([secret, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    privateText: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicLine: `ssh-ed25519 ${publicBlob.toString('base64')} ${comment}`,
  };
}

/** A private key in OpenSSH's own format (PROTOCOL.key), as far as it can be read without its passphrase. */
export type OpenSshKey = {
  readonly cipher: string;
  readonly kdf: string;
  readonly kdfOptions: Buffer;
  readonly publicKey: Buffer;
  /** The private half, encrypted with `cipher`, and the tag of some ciphers. */
  readonly body: Buffer;
  readonly tag: Buffer;
};

/** Undefined for any other format; throws a RangeError where the data ends too early. */
export function readOpenSshKey(text: string): OpenSshKey | undefined {
  const base64 = /-----BEGIN OPENSSH PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END/.exec(text)?.[1];
  if (base64 === undefined) return undefined;
  const reader = new WireReader(Buffer.from(base64, 'base64'));
  if (reader.bytes(MAGIC.length).toString('latin1') !== MAGIC) throw new RangeError('the start is damaged');
  const [cipher, kdf, kdfOptions] = [reader.text(), reader.text(), reader.string()];
  if (reader.uint32() !== 1) throw new RangeError('it does not hold one key');
  const publicKey = reader.string();
  const body = reader.string();
  const tag = reader.bytes(CIPHERS.get(cipher)?.tag ?? 0);
  return { cipher, kdf, kdfOptions, publicKey, body, tag };
}

/**
 * The private key; undefined when the passphrase is wrong. For a key that is not encrypted, the passphrase is ignored.
 * Throws a RangeError for a damaged key, or an unknown kind of key.
 */
export async function openOpenSshKey(file: OpenSshKey, passphrase: string): Promise<KeyObject | undefined> {
  const plain = file.cipher === 'none' ? file.body : await decrypt(file, passphrase);
  if (plain === undefined) return undefined;
  const reader = new WireReader(plain);
  // The same random number twice, to detect a wrong passphrase.
  if (!reader.bytes(4).equals(reader.bytes(4))) {
    if (file.cipher === 'none') throw new RangeError('the key is damaged');
    return undefined;
  }
  return createPrivateKey({ key: privateJwk(reader), format: 'jwk' });
}

type Cipher = { readonly name: string; readonly key: number; readonly iv: number; readonly tag?: number };

const CHACHA = 'chacha20-poly1305@openssh.com';

/** OpenSSH's name → OpenSSL's, and sizes in bytes. */
const CIPHERS: ReadonlyMap<string, Cipher> = new Map<string, Cipher>([
  ...[128, 192, 256].flatMap((bits): [string, Cipher][] =>
    ['ctr', 'cbc'].map((mode) => [
      `aes${bits}-${mode}`,
      { name: `aes-${bits}-${mode}`, key: bits / 8, iv: 16 },
    ]),
  ),
  ['aes128-gcm@openssh.com', { name: 'aes-128-gcm', key: 16, iv: 12, tag: 16 }],
  ['aes256-gcm@openssh.com', { name: 'aes-256-gcm', key: 32, iv: 12, tag: 16 }],
  ['3des-cbc', { name: 'des-ede3-cbc', key: 24, iv: 8 }],
  [CHACHA, { name: 'chacha20', key: 64, iv: 0, tag: 16 }],
]);

async function decrypt(file: OpenSshKey, passphrase: string): Promise<Buffer | undefined> {
  const cipher = CIPHERS.get(file.cipher);
  if (cipher === undefined || file.kdf !== 'bcrypt')
    throw new RangeError(`its cipher is not known: ${file.cipher} with ${file.kdf}`);
  const options = new WireReader(file.kdfOptions);
  const [salt, rounds] = [options.string(), options.uint32()];
  const secret = await bcryptPbkdf(Buffer.from(passphrase), salt, rounds, cipher.key + cipher.iv);
  const isChaCha = file.cipher === CHACHA;
  // OpenSSH's ChaCha20 has a second key, for packet lengths, and starts here with block 1 of packet 0. Its tag is
  // not checked: the two equal numbers show a wrong passphrase, and the comparison of the halves shows damage.
  const key = isChaCha ? secret.subarray(0, 32) : secret.subarray(0, cipher.key);
  const iv = isChaCha ? Buffer.from('01'.padEnd(32, '0'), 'hex') : secret.subarray(cipher.key);
  const decipher = createDecipheriv(cipher.name, key, iv);
  if (cipher.name.endsWith('-gcm')) (decipher as DecipherGCM).setAuthTag(file.tag);
  decipher.setAutoPadding(false);
  try {
    return Buffer.concat([decipher.update(file.body), decipher.final()]);
  } catch {
    return undefined;
  }
}

function privateJwk(reader: WireReader): JsonWebKey {
  const type = reader.text();
  if (type === 'ssh-ed25519') {
    const x = reader.string();
    // The seed, and the public half once more.
    return { kty: 'OKP', crv: 'Ed25519', x: encode(x), d: encode(reader.string().subarray(0, 32)) };
  }
  if (type === 'ssh-rsa') return rsaJwk(reader);
  const curve = CURVES.find(({ name }) => type === `ecdsa-sha2-${name}`);
  if (curve === undefined) throw new RangeError(`keys of type "${type}" are not known`);
  reader.string();
  const point = ecJwk(curve, reader.string());
  const d = positive(reader);
  return { ...point, d: encode(Buffer.concat([Buffer.alloc(curve.bytes - d.length), d])) };
}

/** OpenSSH leaves out the two exponents that the Chinese remainder theorem needs. */
function rsaJwk(reader: WireReader): JsonWebKey {
  const next = (): Buffer => positive(reader);
  const [n, e, d, qi, p, q] = [next(), next(), next(), next(), next(), next()];
  const modulo = (prime: Buffer): string => {
    const hex = (toBigInt(d) % (toBigInt(prime) - 1n)).toString(16);
    return encode(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'));
  };
  const numbers = { n, e, d, qi, p, q };
  const texts = Object.fromEntries(Object.entries(numbers).map(([name, bytes]) => [name, encode(bytes)]));
  return { kty: 'RSA', ...texts, dp: modulo(p), dq: modulo(q) };
}

function toBigInt(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex') || '0'}`);
}

/** bcrypt's own output, in bytes. */
const HASH_SIZE = 32;

/** The maximum of rounds; OpenSSH's default is 16 (24 since 9.9), each takes about 30 ms. */
const MOST_ROUNDS = 10_000;

/**
 * OpenBSD's bcrypt_pbkdf(3), the key derivation for OpenSSH's encrypted key files. One bcrypt takes about 15 ms of pure JavaScript
 * and the whole of it up to a second, so the event loop gets a turn after each.
 */
async function bcryptPbkdf(
  passphrase: Buffer,
  salt: Buffer,
  rounds: number,
  length: number,
): Promise<Buffer> {
  if (rounds < 1 || rounds > MOST_ROUNDS || salt.length === 0)
    throw new RangeError('impossible key derivation');
  const { default: bcrypt } = await import('bcrypt-pbkdf');
  const password = sha512(passphrase);
  const hashed = (saltHash: Buffer): Buffer => {
    const out = Buffer.alloc(HASH_SIZE);
    bcrypt.hash(password, saltHash, out);
    return out;
  };
  const key = Buffer.alloc(length);
  const blocks = Math.ceil(length / HASH_SIZE);
  for (let block = 0; block < blocks; block++) {
    let last = hashed(sha512(Buffer.concat([salt, wireUint32(block + 1)])));
    const sum = Buffer.from(last);
    for (let round = 1; round < rounds; round++) {
      await setImmediate();
      last = hashed(sha512(last));
      for (const [i, byte] of last.entries()) sum[i] = (sum[i] ?? 0) ^ byte;
    }
    // The bytes of a block are spread over the key, every one `blocks` away from the last.
    for (let i = 0; i * blocks + block < length && i < HASH_SIZE; i++) key[i * blocks + block] = sum[i] ?? 0;
  }
  return key;
}

function sha512(data: Buffer): Buffer {
  return createHash('sha512').update(data).digest();
}
