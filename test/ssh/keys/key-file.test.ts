import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readKeyFile } from '../../../src/ssh/keys/key-file.ts';
import { type PrivateKey, signWith } from '../../../src/ssh/keys/private-key.ts';
import { isSignedBy, keyType, parsePublicLine } from '../../../src/ssh/keys/public-key.ts';
import { newKey } from '../../support/sshd.ts';
import { temporaryFolder } from '../support.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;
const secret = { cipher: 'aes-256-cbc', passphrase: 'secret' };

type Pem = 'pkcs1' | 'sec1' | 'pkcs8';
const pem = (key: typeof rsa, type: Pem, lock: object = {}): string =>
  String(key.export({ type, format: 'pem', ...lock } as { type: 'pkcs8'; format: 'pem' }));

describe('a key file', () => {
  test.each([
    ['in OpenSSH format, ed25519', newKey().private, 'ssh-ed25519'],
    ['in OpenSSH format, ecdsa', newKey('ecdsa').private, 'ecdsa-sha2-nistp256'],
    ['in OpenSSH format, rsa', newKey('rsa').private, 'ssh-rsa'],
    ['in the older PEM format, rsa', pem(rsa, 'pkcs1'), 'ssh-rsa'],
    ['in the older PEM format, ecdsa', pem(ec, 'sec1'), 'ecdsa-sha2-nistp384'],
    ['in PKCS#8 format, rsa', pem(rsa, 'pkcs8'), 'ssh-rsa'],
    ['in PKCS#8 format, ecdsa', pem(ec, 'pkcs8'), 'ecdsa-sha2-nistp384'],
    ['in PKCS#8 format, ed25519', pem(ed25519, 'pkcs8'), 'ssh-ed25519'],
  ])('%s is a key that signs', async (_, text, type) => {
    const file = await read(text);
    if (file.kind !== 'private') throw new Error(`it is ${file.kind}`);
    expectToSign(file.key, type);
  });

  test.each([
    ['PKCS#8', pem(rsa, 'pkcs8', secret), 'ssh-rsa'],
    ['PKCS#8, ed25519', pem(ed25519, 'pkcs8', secret), 'ssh-ed25519'],
    ['the older PEM format', pem(rsa, 'pkcs1', secret), 'ssh-rsa'],
  ])('that is encrypted in %s opens with its passphrase and no other', async (_, text, type) => {
    const file = await read(text);
    if (file.kind !== 'locked') throw new Error(`it is ${file.kind}`);
    expect(file.publicKey).toBe(undefined);
    expect(await file.unlock('wrong')).toBe(undefined);
    expectToSign((await file.unlock('secret')) as PrivateKey, type);
  });

  test('that is encrypted shows its public half where there is a .pub file beside it', async () => {
    const key = newKey();
    const path = join(await temporaryFolder(), 'id');
    await writeFile(path, pem(rsa, 'pkcs8', secret));
    await writeFile(`${path}.pub`, `${key.public} comment\n`);
    expect(await readKeyFile(path)).toMatchObject({ kind: 'locked', publicKey: parsePublicLine(key.public) });
  });

  test('that holds a public key is for an agent', async () => {
    const { public: line } = newKey();
    expect(await read(line)).toEqual({ kind: 'public', publicKey: parsePublicLine(line) });
  });

  test('that is not there is missing', async () => {
    expect(await readKeyFile(join(await temporaryFolder(), 'none'))).toEqual({ kind: 'missing' });
  });

  test('that is a folder says so', async () => {
    const path = join(await temporaryFolder(), 'id');
    await mkdir(path);
    expect(await readKeyFile(path)).toEqual({ kind: 'unusable', why: 'it is a folder' });
  });

  test.each([
    ['nothing', '', /no private key in a format/],
    ['a letter', 'Dear Ms. Meier,\n', /no private key in a format/],
    ['half of a key', newKey().private.slice(0, 120), /damaged/],
    [
      'a key that ends too early',
      newKey().private.replace(/\n[^\n]+\n-----END/, '\n-----END'),
      /too early|damaged/,
    ],
    ['a damaged PKCS#8 key', pem(rsa, 'pkcs8').replace(/\n.{40}/, '\n'), /damaged/],
    [
      'an ed448 key',
      pem(generateKeyPairSync('ed448').privateKey, 'pkcs8'),
      /keys of type ed448 are not known/,
    ],
    [
      'a PuTTY key',
      'PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: none\r\n',
      /puttygen FILE -O private-openssh/,
    ],
  ])('with %s in it is of no use', async (_, text, why) => {
    expect(await read(text)).toEqual({ kind: 'unusable', why: expect.stringMatching(why) });
  });
});

const hasKeygen = existsSync('/usr/bin/ssh-keygen');
if (!hasKeygen) console.log('skipped: key files of ssh-keygen, for there is no /usr/bin/ssh-keygen');

describe.skipIf(!hasKeygen)('a key file of ssh-keygen', () => {
  test.each([
    ['ed25519', []],
    ['ecdsa', ['-b', '256']],
    ['ecdsa', ['-b', '384']],
    ['ecdsa', ['-b', '521']],
    ['rsa', ['-b', '1024']],
    ['ed25519', ['-Z', 'aes128-cbc']],
    ['ed25519', ['-Z', 'aes192-ctr']],
    ['ed25519', ['-Z', 'aes128-gcm@openssh.com']],
    ['ed25519', ['-Z', 'aes256-gcm@openssh.com']],
    ['ed25519', ['-Z', '3des-cbc']],
    ['ed25519', ['-Z', 'chacha20-poly1305@openssh.com']],
    ['rsa', ['-b', '1024', '-m', 'PEM']],
    ['rsa', ['-b', '1024', '-m', 'PKCS8']],
    ['ecdsa', ['-m', 'PKCS8']],
  ])('%s %j opens with its passphrase and no other', async (type, options) => {
    const { path, publicKey } = await generate(type, options, 'open sesame');
    const file = await readKeyFile(path);
    if (file.kind !== 'locked') throw new Error(`it is ${file.kind}`);
    expect(file.publicKey).toEqual(publicKey);
    expect(await file.unlock('wrong')).toBe(undefined);
    expect(await file.unlock('')).toBe(undefined);
    const key = (await file.unlock('open sesame')) as PrivateKey;
    expect(key.publicKey).toEqual(publicKey);
    expectToSign(key, keyType(publicKey));
  });

  test('leaves the event loop alone while it is opened', async () => {
    const { path } = await generate('ed25519', ['-a', '16'], 'secret');
    const file = await readKeyFile(path);
    if (file.kind !== 'locked') throw new Error(`it is ${file.kind}`);
    let turns = 0;
    const turn = setInterval(() => turns++, 1);
    await file.unlock('secret');
    clearInterval(turn);
    expect(turns).toBeGreaterThan(20);
  });
});

async function generate(type: string, options: readonly string[], passphrase: string) {
  const path = join(await temporaryFolder(), 'id');
  const rounds = options.includes('-a') ? [] : ['-a', '1'];
  const made = spawnSync('ssh-keygen', [
    '-q',
    '-t',
    type,
    '-N',
    passphrase,
    '-f',
    path,
    ...rounds,
    ...options,
  ]);
  expect(String(made.stderr)).toBe('');
  const publicKey = parsePublicLine(await readFile(`${path}.pub`, 'utf8'));
  if (publicKey === undefined) throw new Error('ssh-keygen wrote no public key');
  return { path, publicKey };
}

function expectToSign(key: PrivateKey, type: string): void {
  expect(keyType(key.publicKey)).toBe(type);
  const data = Buffer.from('text');
  const algorithms = type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type];
  for (const algorithm of algorithms) {
    const signature = signWith(key, data, algorithm);
    expect(isSignedBy(key.publicKey, data, signature)).toBe(true);
    expect(isSignedBy(key.publicKey, Buffer.from('other'), signature)).toBe(false);
  }
}

async function read(text: string) {
  const path = join(await temporaryFolder(), 'id');
  await writeFile(path, text);
  return readKeyFile(path);
}
