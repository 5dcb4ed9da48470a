import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { appendKnownHost } from '../../src/ssh/host-keys/known-hosts-file.ts';
import { newKey, publicLine } from '../support/sshd.ts';
import { createRig, failure, run } from './support.ts';

const ask = { strictHostKeyChecking: 'ask' } as const;
const hostKey = newKey();
const rsa = newKey('rsa');
const blob = (key: string): Buffer => Buffer.from(publicLine(key).split(' ')[1] ?? '', 'base64');

test('a host is known by a file that is only read', async () => {
  const { transport, target, folder, knownHostsFile } = await createRig({ hostKeys: [hostKey.private] }, ask);
  const global = join(folder, 'global');
  await appendKnownHost(global, `[127.0.0.1]:${target.port}`, blob(hostKey.private));
  const all = { ...target, globalKnownHostsFiles: [join(folder, 'none'), global] };
  expect((await run(transport, all, 'echo in')).stdout).toBe('in\n');
  expect(await readFile(knownHostsFile, 'utf8').catch(() => 'none')).toBe('none');
});

test('a key that one file revokes is refused though another file holds it', async () => {
  const { transport, target, folder, knownHostsFile } = await createRig({ hostKeys: [hostKey.private] });
  await appendKnownHost(knownHostsFile, `[127.0.0.1]:${target.port}`, blob(hostKey.private));
  const revoked = join(folder, 'revoked');
  await writeFile(revoked, `# ours\n@revoked * ${publicLine(hostKey.private)}\n`);
  const all = { ...target, globalKnownHostsFiles: [revoked] };
  const error = await failure(transport.exec(all, 'true'), 'ssh-host-key');
  expect(error.message).toContain(`is revoked by line 2 of "${revoked}"`);
});

test('a key that stands there without a port is good for all ports, another one there says nothing', async () => {
  const { transport, target, knownHostsFile } = await createRig({ hostKeys: [hostKey.private] }, ask);
  await appendKnownHost(knownHostsFile, '127.0.0.1', blob(rsa.private));
  expect((await failure(transport.exec(target, 'true'), 'ssh-host-key')).message).toContain('is not known');
  await appendKnownHost(knownHostsFile, '127.0.0.1', blob(hostKey.private));
  expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
});

test('a host with hashed names is asked for its known key, whatever types the others have', async () => {
  const { transport, target, knownHostsFile, sshd } = await createRig(
    { hostKeys: [hostKey.private, rsa.private] },
    ask,
  );
  await appendKnownHost(knownHostsFile, 'other', blob(newKey().private), true);
  await appendKnownHost(knownHostsFile, `[127.0.0.1]:${target.port}`, blob(rsa.private), true);
  expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
  // Which line is about it was only known when its first key was on none.
  expect(sshd.connections()).toBe(2);
});

test.each([
  ['hashed where all names are', true, false, /^\|1\|/],
  ['hashed where that is wanted', false, true, /^\|1\|/],
  ['in clear otherwise', false, false, /^\[127\.0\.0\.1\]:\d+ /],
])('a new name is written %s', async (_, othersHashed, hashKnownHosts, written) => {
  const { transport, target, knownHostsFile } = await createRig({}, { hashKnownHosts });
  await appendKnownHost(knownHostsFile, 'other', blob(newKey().private), othersHashed);
  await run(transport, target, 'true');
  const [, line = ''] = (await readFile(knownHostsFile, 'utf8')).split('\n');
  expect(line).toMatch(written);
});

test('an alias stands for name and port', async () => {
  const { transport, target, knownHostsFile } = await createRig({}, { hostKeyAlias: 'Web-1' });
  await run(transport, target, 'true');
  expect(await readFile(knownHostsFile, 'utf8')).toMatch(/^web-1 ssh-ed25519 /);
});
