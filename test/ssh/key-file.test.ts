import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { describe, expect, test } from 'vitest';
import { readKeyFile } from '../../src/ssh/key-file.ts';
import { newKey } from '../support/sshd.ts';
import { temporaryFolder } from './support.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;
const secret = { cipher: 'aes-256-cbc', passphrase: 'secret' };
const locked = newKey('ed25519', 'secret');

const pem = (key: typeof rsa, type: 'pkcs1' | 'sec1' | 'pkcs8'): string =>
  String(key.export({ type, format: 'pem' }));

describe('a key file', () => {
  test.each([
    ['in OpenSSH format, ed25519', newKey().private, 'ssh-ed25519'],
    ['in OpenSSH format, ecdsa', newKey('ecdsa').private, 'ecdsa-sha2-nistp256'],
    ['in OpenSSH format, rsa', newKey('rsa').private, 'ssh-rsa'],
    ['in the older PEM format, rsa', pem(rsa, 'pkcs1'), 'ssh-rsa'],
    ['in the older PEM format, ecdsa', pem(ec, 'sec1'), 'ecdsa-sha2-nistp384'],
    ['in PKCS#8 format, rsa', pem(rsa, 'pkcs8'), 'ssh-rsa'],
    ['in PKCS#8 format, ecdsa', pem(ec, 'pkcs8'), 'ecdsa-sha2-nistp384'],
  ])('%s is a key that signs', async (_, text, type) => {
    const file = await read(text);
    expect(file).toMatchObject({ kind: 'private', key: { type } });
    if (file.kind !== 'private') return;
    const hash = type === 'ssh-rsa' ? 'sha256' : undefined;
    const signature = file.key.sign(Buffer.from('text'), hash);
    expect(file.key.verify(Buffer.from('text'), signature, hash)).toBe(true);
  });

  test('that is encrypted in OpenSSH format shows its public half', async () => {
    const publicKey = parsed(locked.public).getPublicSSH();
    expect(await read(locked.private)).toEqual({ kind: 'locked', why: 'encrypted', publicKey });
  });

  test.each([
    ['PKCS#8', String(rsa.export({ type: 'pkcs8', format: 'pem', ...secret }))],
    ['the older PEM format', String(rsa.export({ type: 'pkcs1', format: 'pem', ...secret }))],
    ['PuTTY format', 'PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: aes256-cbc\r\nComment: x\r\n'],
  ])('that is encrypted in %s keeps its public half to itself', async (_, text) => {
    expect(await read(text)).toEqual({ kind: 'locked', why: 'encrypted', publicKey: undefined });
  });

  test('that holds a public key is for an agent', async () => {
    const { public: line } = newKey();
    const publicKey = parsed(line).getPublicSSH();
    expect(await read(line)).toEqual({ kind: 'locked', why: 'public', publicKey });
  });

  test('that is not there is missing', async () => {
    const path = join(await temporaryFolder(), 'none');
    expect(await readKeyFile(path, ssh2.utils.parseKey)).toEqual({ kind: 'missing' });
  });

  test('that is a folder says so', async () => {
    const path = join(await temporaryFolder(), 'id');
    await mkdir(path);
    expect(await readKeyFile(path, ssh2.utils.parseKey)).toEqual({ kind: 'unusable', why: 'it is a folder' });
  });

  test.each([
    ['nothing', '', /Unsupported key format/],
    ['a letter to somebody', 'Dear Ms. Meier,\n', /Unsupported key format/],
    ['half of a key', newKey().private.slice(0, 120), /Unsupported key format|Malformed/],
    ['an ed25519 key in PKCS#8 format', pem(ed25519, 'pkcs8'), /ssh-keygen -p -f/],
  ])('with %s in it is of no use', async (_, text, why) => {
    expect(await read(text)).toEqual({ kind: 'unusable', why: expect.stringMatching(why) });
  });
});

async function read(text: string) {
  const path = join(await temporaryFolder(), 'id');
  await writeFile(path, text);
  return readKeyFile(path, ssh2.utils.parseKey);
}

function parsed(text: string): ssh2.ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}
