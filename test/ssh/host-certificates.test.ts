import { copyFileSync, renameSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SshTarget } from '../../src/ssh/target.ts';
import { type Authority, newAuthority } from './authority.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createTransport, failure, run, targetOf } from './support.ts';

if (!hasSshd) console.log('skipped: host certificates, for there is no /usr/sbin/sshd');

const GOOD = ['-h', '-n', '127.0.0.1'];

describe.skipIf(!hasSshd)('a host that shows a certificate', () => {
  test.each([
    ['ed25519', 'ed25519'],
    ['ecdsa', 'ed25519'],
    ['rsa', 'ed25519'],
    ['ed25519', 'rsa'],
    ['ed25519', 'ecdsa'],
  ])('for its %s key, of an authority with an %s key, is known', async (type, authorityType) => {
    const { login, knownHosts, server } = await setUp({ type, authorityType, options: GOOD });
    expect(await login()).toBe('in\n');
    expect(await readFile(knownHosts, 'utf8')).toMatch(/^@cert-authority/);
    expect(server.log()).toContain('Accepted publickey');
  });

  test('continues through new key exchanges', async () => {
    const { transport, target } = await setUp({ options: GOOD, config: ['RekeyLimit 1M'] });
    const { stdout } = await run(transport, target, 'cat', 'x'.repeat(5_000_000));
    expect(stdout).toHaveLength(5_000_000);
  });

  test.each([
    ['by a pattern of names', { options: ['-h', '-n', '127.0.0.*'] }],
    ['by one of several names', { options: ['-h', '-n', 'web-1,127.0.0.1'] }],
    ['by its alias', { options: ['-h', '-n', 'Web-1'], target: { hostKeyAlias: 'web-1' }, named: 'web-1' }],
    ['as one of all hosts', { options: GOOD, named: '*' }],
    ['as a host without a port', { options: GOOD, named: '127.0.0.1' }],
  ])('is known %s', async (_, given) => {
    expect(await (await setUp(given)).login()).toBe('in\n');
  });

  test.each([
    [
      'that has expired',
      { options: [...GOOD, '-V', '20200101:20210101'] },
      /not valid: it has expired on 202\d-/,
    ],
    [
      'that is for later',
      { options: [...GOOD, '-V', '20400101:20410101'] },
      /not valid: it is valid from 20\d\d-/,
    ],
    ['for another host', { options: ['-h', '-n', 'web-1'] }, /not valid: it is for "web-1"$/],
    // The patterns of OpenSSH have no classes.
    ['with a class of characters', { options: ['-h', '-n', '127.0.0.[1]'] }, /not valid: it is for "127/],
    ['without a name', { options: ['-h'] }, /not valid: it names no host$/],
    ['with options', { options: [...GOOD, '-O', 'critical:x=y'] }, /options that are not known: x$/],
    ['whose authority is revoked', { options: GOOD, more: revokeAuthority }, /is revoked by line 2 of /],
  ])('%s is refused', async (_, given, message) => {
    const { login, server } = await setUp(given);
    const error = await failure(login(), 'ssh-host-key');
    expect(error.message).toMatch(message);
    expect(server.log()).not.toContain('Accepted');
  });

  test('whose key is revoked is refused', async () => {
    const { login, knownHosts, server, entry } = await setUp({ options: GOOD });
    const key = (await readFile(join(server.folder, 'host_ed25519.pub'), 'utf8')).trim();
    await writeFile(knownHosts, `${entry}@revoked * ${key}\n`);
    expect((await failure(login(), 'ssh-host-key')).message).toMatch(/is revoked by line 2 of /);
  });

  test('of an authority for other hosts only is worth what its key is', async () => {
    const { login, server } = await setUp({ options: GOOD, named: 'web-*' });
    expect((await failure(login(), 'ssh-host-key')).message).toMatch(
      /host key is not known: ssh-ed25519 SHA256:/,
    );
    expect(server.log()).not.toContain('Accepted');
  });

  test('of another authority counts like its plain key', async () => {
    const { login, server, knownHosts, entry } = await setUp({ options: GOOD });
    const other = newAuthority(server.folder, 'other');
    await writeFile(knownHosts, entry.replace(/ssh-ed25519 \S+/, other.line));
    expect((await failure(login(), 'ssh-host-key')).message).toMatch(
      /host key is not known: ssh-ed25519 SHA256:/,
    );
  });
});

function revokeAuthority({ line }: Authority): string {
  return `@revoked * ${line}\n`;
}

type Given = {
  readonly type?: string;
  readonly authorityType?: string;
  readonly options: readonly string[];
  readonly config?: readonly string[];
  /** For whom the authority signs, as known_hosts says. */
  readonly named?: string;
  readonly more?: (authority: Authority) => string;
  readonly target?: Partial<SshTarget>;
};

/** A server whose key is signed, and a client that knows nothing but the authority. */
async function setUp({ type = 'ed25519', authorityType, options, config = [], named, more, target }: Given) {
  let authority: Authority | undefined;
  const server = await startOpenSsh((folder) => {
    authority = newAuthority(folder, 'authority', authorityType);
    const certificate = authority.sign(join(folder, `host_${type}.pub`), ...options);
    renameSync(certificate, join(folder, 'cert.pub'));
    copyFileSync(join(folder, 'cert.pub'), certificate);
    return [...config, `HostCertificate ${folder}/cert.pub`];
  });
  if (authority === undefined) throw new Error('no signature');
  const knownHosts = join(server.folder, 'known_hosts');
  const entry = `@cert-authority ${named ?? `[127.0.0.1]:${server.port}`} ${authority.line}\n`;
  await writeFile(knownHosts, `${entry}${more?.(authority) ?? ''}`);
  const transport = createTransport(server.folder);
  onTestFinished(() => transport.close());
  const all = targetOf(server, server.identityFile, {
    user: server.user,
    strictHostKeyChecking: 'ask',
    ...target,
  });
  const login = async () => (await run(transport, all, 'echo in')).stdout;
  return { server, transport, target: all, login, knownHosts, entry };
}
