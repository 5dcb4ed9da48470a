import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HostKeyCheck, hostKeyAlgorithms, KnownHost } from '../../src/ssh/host-keys/known-host.ts';
import { KnownHostsFile } from '../../src/ssh/host-keys/known-hosts-file.ts';
import { describeKey } from '../../src/ssh/keys/public-key.ts';
import { newKey, publicLine } from '../support/sshd.ts';

const ED25519 = publicLine(newKey().private);
const OTHER_ED25519 = publicLine(newKey().private);
const ECDSA = publicLine(newKey('ecdsa').private);
const RSA = publicLine(newKey('rsa').private);
/** Types that this client cannot ask for; only their names matter here. */
const SECURITY_KEY = wireLine('sk-ssh-ed25519@openssh.com');
const DSS = wireLine('ssh-dss');

describe('a host that presents its key', () => {
  test.each([
    ['is unknown to an empty file', [], { kind: 'unknown' }],
    ['is unknown when the file is about others', [`other ${ED25519}`], { kind: 'unknown' }],
    ['is known when a line holds the key', [`h ${ED25519}`], { kind: 'known' }],
    [
      'is known when one of several lines holds it',
      [`h ${OTHER_ED25519}`, `h ${ED25519}`],
      { kind: 'known' },
    ],
    ['is known by a key beside one of another type', [`h ${RSA}`, `h ${ED25519}`], { kind: 'known' }],
    [
      'has changed when another key of the type is known',
      [`h ${OTHER_ED25519}`],
      { kind: 'changed', by: { line: 1 } },
    ],
    [
      'has changed when only a key of another type is known',
      [`x ${RSA}`, `h ${RSA}`],
      { kind: 'changed', by: { line: 2 } },
    ],
    [
      'has changed, told by the line of the same type first',
      [`h ${RSA}`, `h ${OTHER_ED25519}`],
      { kind: 'changed', by: { line: 2 } },
    ],
    [
      'is unknown beside keys that cannot be asked for',
      [`h ${SECURITY_KEY}`, `h ${DSS}`],
      { kind: 'unknown' },
    ],
    ['is revoked by a line for it', [`@revoked h ${ED25519}`], { kind: 'revoked', by: { line: 1 } }],
    [
      'is revoked even where it is known',
      [`h ${ED25519}`, `@revoked * ${ED25519}`],
      { kind: 'revoked', by: { line: 2 } },
    ],
    ['is not revoked for another host', [`@revoked x ${ED25519}`, `h ${ED25519}`], { kind: 'known' }],
    ['is unknown when its old key was revoked', [`@revoked h ${OTHER_ED25519}`], { kind: 'unknown' }],
    ['is unknown when only an authority is named', [`@cert-authority h ${ED25519}`], { kind: 'unknown' }],
  ])('%s', (_, lines, verdict) => {
    expect(known(lines).judge(blob(ED25519))).toMatchObject(verdict);
  });
});

describe('a connection that presents a key again, in a new key exchange', () => {
  test('continues with the key that it began with', () => {
    const check = new HostKeyCheck(known([`h ${ED25519}`]), false);
    expect(check.judge(blob(ED25519))).toEqual({ kind: 'known' });
    expect(check.judge(blob(ED25519))).toEqual({ kind: 'known' });
    expect(check.newHostKey).toBe(undefined);
  });

  test('does not continue with another one, known or new', () => {
    const check = new HostKeyCheck(known([`h ${ED25519}`, `h ${RSA}`]), true);
    expect(check.judge(blob(ED25519))).toEqual({ kind: 'known' });
    expect(check.judge(blob(RSA)).kind).not.toBe('known');
    expect(check.judge(blob(ECDSA)).kind).not.toBe('known');
  });

  test('continues with a new key, and does not accept a second one', () => {
    const check = new HostKeyCheck(known([]), true);
    expect(check.judge(blob(ED25519))).toEqual({ kind: 'known' });
    expect(check.newHostKey).toEqual(blob(ED25519));
    expect(check.judge(blob(ED25519))).toEqual({ kind: 'known' });
    expect(check.judge(blob(RSA)).kind).not.toBe('known');
    expect(check.newHostKey).toEqual(blob(ED25519));
  });

  test('begins with no unknown key where new ones are not taken', () => {
    const check = new HostKeyCheck(known([]), false);
    expect(check.judge(blob(ED25519))).toEqual({ kind: 'unknown' });
    expect(check.newHostKey).toBe(undefined);
  });
});

describe('the algorithms asked for', () => {
  const usual = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ];
  const [first = '', second = '', third = '', fourth = '', ...rsa] = usual;

  test.each([
    ['are the usual ones for an unknown host', [], usual],
    ['begin with the known type', [`h ${RSA}`], [...rsa, first, second, third, fourth]],
    [
      'keep their order among known types',
      [`h ${RSA}`, `h ${ECDSA}`],
      [second, ...rsa, first, third, fourth],
    ],
    ['do not prefer a revoked key', [`@revoked h ${RSA}`], usual],
    ['do not begin with a type that cannot be asked for', [`h ${SECURITY_KEY}`], usual],
  ])('%s', (_, lines, expected) => {
    expect(hostKeyAlgorithms(known(lines))).toEqual(expected);
  });
});

const hasKeygen = existsSync('/usr/bin/ssh-keygen');
if (!hasKeygen) console.log('skipped: fingerprints of ssh-keygen, for there is no /usr/bin/ssh-keygen');

test.skipIf(!hasKeygen).each([ED25519, ECDSA, RSA])('the fingerprint is the one of ssh-keygen', (line) => {
  const { stdout } = spawnSync('ssh-keygen', ['-l', '-f', '-'], { input: `${line}\n`, encoding: 'utf8' });
  const fingerprint = stdout.split(' ')[1];
  expect(fingerprint).toMatch(/^SHA256:/);
  expect(describeKey(blob(line))).toBe(`${line.split(' ')[0]} ${fingerprint}`);
});

function known(lines: readonly string[]) {
  return new KnownHost([new KnownHostsFile('known_hosts', lines.join('\n'))], { host: 'h', names: ['h'] });
}

function blob(line: string): Buffer {
  return Buffer.from(line.split(' ')[1] ?? '', 'base64');
}

function wireLine(type: string): string {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return `${type} ${Buffer.concat([length, Buffer.from(type), Buffer.from('rest')]).toString('base64')}`;
}
