import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

/** bcrypt's own output, in bytes. */
const HASH_SIZE = 32;

/** More rounds than anybody waits for; OpenSSH's default is 16 (24 since 9.9), each about 30 ms. */
const MOST_ROUNDS = 10_000;

/**
 * OpenBSD's bcrypt_pbkdf(3), with which OpenSSH locks its key files. One bcrypt takes about 15 ms of pure JavaScript
 * and the whole of it up to a second, so the event loop gets a turn after each.
 */
export async function bcryptPbkdf(
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
    const count = Buffer.alloc(4);
    count.writeUInt32BE(block + 1);
    let last = hashed(sha512(Buffer.concat([salt, count])));
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
