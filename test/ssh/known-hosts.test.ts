import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  appendKnownHost,
  covers,
  KnownHostsFile,
  KnownHostsFiles,
  type KnownHostsLine,
  knownHostName,
  parseKnownHosts,
} from '../../src/ssh/host-keys/known-hosts-file.ts';
import { keyType } from '../../src/ssh/keys/public-key.ts';
import { newKey, publicLine } from '../support/sshd.ts';
import { temporaryFolder } from './support.ts';

const ED25519 = publicLine(newKey().private);
const ECDSA = publicLine(newKey('ecdsa').private);
const keysOfHost = (lines: readonly KnownHostsLine[], name: string) =>
  lines.filter((line) => covers(line, name));
const blob = (line: string): Buffer => Buffer.from(line.split(' ')[1] ?? '', 'base64');

describe('the name of a host', () => {
  test.each([
    ['port 22 goes without saying', 'web-1', 22, 'web-1'],
    ['any other port stands in the name', 'web-1', 2222, '[web-1]:2222'],
    ['names are lower case', 'Web-1.Example', 22, 'web-1.example'],
    ['an IPv6 address has brackets with a port only', '::1', 22, '::1'],
    ['an IPv6 address with another port', '::1', 2222, '[::1]:2222'],
  ])('%s', (_, host, port, name) => {
    expect(knownHostName(host, port)).toBe(name);
  });
});

describe('a line is about a host', () => {
  test.each([
    ['by its name', 'web-1', 'web-1', true],
    ['by one of several names', 'a,web-1,b', 'web-1', true],
    ['whatever its case', 'WEB-1', 'web-1', true],
    ['not by a part of its name', 'web', 'web-1', false],
    ['not when it is about another port', 'web-1', '[web-1]:2222', false],
    ['by name and port', '[web-1]:2222', '[web-1]:2222', true],
    ['by a star', 'web-*', 'web-12', true],
    ['by a star for many names', '*.example', 'a.b.example', true],
    ['by a question mark', 'web-?', 'web-1', true],
    ['not by a question mark for two characters', 'web-?', 'web-12', false],
    ['by a star for everything', '*', '[web-1]:2222', true],
    ['not when a dot is meant as a dot', 'a.b', 'axb', false],
    ['not when a negated pattern fits, wherever it stands', 'web-*,!web-1', 'web-1', false],
    ['not when a negated pattern fits first', '!web-1,web-*', 'web-1', false],
    ['when the negated pattern is about another', 'web-*,!web-1', 'web-2', true],
    ['not when it only says whom it does not mean', '!web-2', 'web-1', false],
  ])('%s', (_, hosts, name, expected) => {
    const lines = parseKnownHosts('f', `${hosts} ${ED25519}\n`);
    expect(lines).toHaveLength(1);
    expect(lines.filter((line) => covers(line, name))).toHaveLength(expected ? 1 : 0);
  });

  test('by the hash of its name, as ssh-keygen -H of OpenSSH 9.2 wrote it', () => {
    const hashed = '|1|h6eTPHEEbXxEJnwyt5cj5QaQg8o=|0kTQt7oojvmwuToP7ftyQ7q8itI=';
    const lines = parseKnownHosts('f', `${hashed} ${ED25519}\n`);
    expect(keysOfHost(lines, '[web-1]:2222')).toHaveLength(1);
    expect(keysOfHost(lines, 'web-1')).toHaveLength(0);
  });
});

describe('reading', () => {
  const text = [
    '# a comment',
    '',
    `   web-1 ${ED25519} indented, with a comment`,
    `#web-1 ${ECDSA}`,
    `web-1\t${ECDSA}\r`,
    'web-1 1024 35 1234567890',
    'web-1 ssh-ed25519 not*base64',
    `web-1 ssh-ed25519 ${ECDSA.split(' ')[1]}`,
    `@cert-authority web-1 ${ED25519}`,
    `@revoked web-1 ${ED25519}`,
    `@later web-1 ${ED25519}`,
    'web-1 ssh-ed25519',
    'web-1',
    `|2|odd|hash ${ED25519}`,
  ].join('\n');

  test('takes the lines that hold a key, with their numbers, and passes over the others', () => {
    expect(keysOfHost(parseKnownHosts('f', text), 'web-1')).toMatchObject([
      { line: 3, marker: undefined, key: blob(ED25519) },
      { line: 5, marker: undefined, key: blob(ECDSA) },
      { line: 9, marker: 'cert-authority', key: blob(ED25519) },
      { line: 10, marker: 'revoked', key: blob(ED25519) },
    ]);
  });

  test('a file that is not there is empty', async () => {
    const file = await new KnownHostsFiles().read(join(await temporaryFolder(), 'none'));
    expect(file.lines).toEqual([]);
  });

  test('a file is read again when it has changed', async () => {
    const files = new KnownHostsFiles();
    const path = join(await temporaryFolder(), 'known_hosts');
    await appendKnownHost(path, 'web-1', blob(ED25519));
    const first = await files.read(path);
    expect(await files.read(path)).toBe(first);
    await appendKnownHost(path, 'web-2', blob(ED25519));
    expect((await files.read(path)).lines).toHaveLength(2);
  });

  test('the type of a key is what it says itself', () => {
    expect(keyType(blob(ED25519))).toBe('ssh-ed25519');
    expect(keyType(blob(ECDSA))).toBe('ecdsa-sha2-nistp256');
    expect(keyType(Buffer.alloc(3))).toBe('');
    expect(keyType(Buffer.from([0, 0, 1, 0, 65]))).toBe('');
  });
});

describe('appending', () => {
  test('makes file and folder, readable by the owner only', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'new', 'known_hosts');
    await appendKnownHost(file, 'web-1', blob(ED25519));
    expect(await readFile(file, 'utf8')).toBe(`web-1 ${ED25519}\n`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o700);
  });

  test('keeps every byte that is there, and ends a last line that has no end', async () => {
    const file = join(await temporaryFolder(), 'known_hosts');
    const before = '# mine\n\n|1|odd line with an unknown format';
    await writeFile(file, before);
    await appendKnownHost(file, '[web-1]:2222', blob(ED25519));
    await appendKnownHost(file, 'web-2', blob(ECDSA));
    expect(await readFile(file, 'utf8')).toBe(`${before}\n[web-1]:2222 ${ED25519}\nweb-2 ${ECDSA}\n`);
  });

  test('a hashed name is found and not seen', async () => {
    const file = join(await temporaryFolder(), 'known_hosts');
    await appendKnownHost(file, '[web-1]:2222', blob(ED25519), true);
    const text = await readFile(file, 'utf8');
    expect(text).toMatch(/^\|1\|\S{27}=\|\S{27}= ssh-ed25519 \S+\n$/);
    const known = new KnownHostsFile(file, text);
    expect(known.isHashed).toBe(true);
    expect(known.withKey(blob(ED25519), '[web-1]:2222')).toHaveLength(1);
    expect(known.all('web-1')).toEqual([]);
  });

  test('lines that are added at the same time stay whole', async () => {
    const file = join(await temporaryFolder(), 'known_hosts');
    const names = Array.from({ length: 50 }, (_, i) => `web-${i}`);
    await Promise.all(names.map((name) => appendKnownHost(file, name, blob(ED25519))));
    const lines = parseKnownHosts('f', await readFile(file, 'utf8'));
    expect(lines).toHaveLength(50);
    expect(new Set(lines.map(({ hosts }) => hosts))).toEqual(new Set(names));
  });
});

const hasKeygen = existsSync('/usr/bin/ssh-keygen');
if (!hasKeygen) console.log('skipped: known_hosts files of ssh-keygen, for there is no /usr/bin/ssh-keygen');

test.skipIf(!hasKeygen)('agrees with ssh-keygen about hashed names', async () => {
  const file = join(await temporaryFolder(), 'known_hosts');
  await appendKnownHost(file, '[web-1]:2222', blob(ED25519));
  await appendKnownHost(file, 'web-2', blob(ECDSA));
  expect(spawnSync('ssh-keygen', ['-H', '-f', file]).status).toBe(0);
  const text = await readFile(file, 'utf8');
  expect(text).not.toContain('web');
  expect(keysOfHost(parseKnownHosts('f', text), '[web-1]:2222')).toMatchObject([
    { line: 1, key: blob(ED25519) },
  ]);
  expect(keysOfHost(parseKnownHosts('f', text), 'web-2')).toMatchObject([{ line: 2, key: blob(ECDSA) }]);
  expect(keysOfHost(parseKnownHosts('f', text), 'web-1')).toEqual([]);
});
