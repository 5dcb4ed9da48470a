import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Ssh2TransportOptions } from '../../src/ssh/ssh2/transport.ts';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { Ask, Question } from '../../src/ssh/transport.ts';
import { newKey } from '../support/sshd.ts';
import { newAuthority } from './authority.ts';
import { hasSshd, type OpenSsh, type OpenSshConfig, startOpenSsh } from './openssh.ts';
import { createTransport, failure, run, targetOf, temporaryFolder } from './support.ts';

if (!hasSshd) console.log('skipped: logins with OpenSSH, for there is no /usr/sbin/sshd');
const hasAgent = existsSync('/usr/bin/ssh-agent');

describe.skipIf(!hasSshd)('a user certificate', () => {
  const trusted: OpenSshConfig = (folder) => {
    newAuthority(folder);
    return [`TrustedUserCAKeys ${folder}/authority.pub`, `AuthorizedPrincipalsFile ${folder}/principals`];
  };

  test.each(['ed25519', 'ecdsa', 'rsa'] as const)('beside its %s key lets its owner in', async (type) => {
    const { server, login } = await setUp(trusted);
    const path = await certify(server, newKey(type), 'me', '-n', 'me');
    expect(await login({ identityFiles: [path] })).toBe('in\n');
    expect(server.log()).toMatch(
      /Accepted certificate ID "test"|Accepted publickey for \S+ from .* \S+-CERT /,
    );
  });

  test('is found where CertificateFile says', async () => {
    const { server, login } = await setUp(trusted);
    const path = await certify(server, newKey(), 'me', '-n', 'me');
    const elsewhere = join(server.folder, 'elsewhere.pub');
    await writeFile(elsewhere, await readFile(`${path}-cert.pub`));
    spawnSync('rm', [`${path}-cert.pub`]);
    expect((await failure(login({ identityFiles: [path] }), 'ssh-authentication')).message).toContain(path);
    expect(await login({ identityFiles: [path], certificateFiles: [elsewhere] })).toBe('in\n');
  });

  test.skipIf(!hasAgent)('in an agent lets its owner in, and for a key there as well', async () => {
    const { server, login } = await setUp(trusted);
    const path = await certify(server, newKey(), 'me', '-n', 'me');
    const identityAgent = await startAgent(server.folder, [path]);
    expect(await login({ identityFiles: [], identitiesOnly: false, identityAgent })).toBe('in\n');
    expect(await login({ identityFiles: [`${path}-cert.pub`, `${path}.pub`], identityAgent })).toBe('in\n');
  });

  test('that is not for this user, or has expired, is named', async () => {
    const { server, login } = await setUp(trusted);
    const other = await certify(server, newKey(), 'other', '-n', 'other-user');
    const late = await certify(server, newKey(), 'late', '-n', 'me', '-V', '20200101:20210101');
    const error = await failure(login({ identityFiles: [other, late] }), 'ssh-authentication');
    expect(error.message).toContain(`certificate ${other}-cert.pub (ssh-ed25519 SHA256:`);
    expect(error.message).toContain(`certificate ${late}-cert.pub (ssh-ed25519 SHA256:`);
  });
});

describe.skipIf(!hasSshd)('an encrypted key', () => {
  const passphrase = 'correct horse';

  test('is opened with the passphrase of a file, whatever its format', async () => {
    const { server, login } = await setUp();
    const passphraseFile = join(server.folder, 'passphrase');
    await writeFile(passphraseFile, `${passphrase}\n`);
    for (const options of [
      ['-t', 'ed25519'],
      ['-t', 'rsa', '-b', '1024', '-m', 'PEM'],
      ['-t', 'ecdsa', '-m', 'PKCS8'],
    ]) {
      const path = join(server.folder, options.join(''));
      spawnSync('ssh-keygen', ['-q', '-a', '2', '-N', passphrase, '-f', path, ...options]);
      await appendFile(join(server.folder, 'authorized_keys'), await readFile(`${path}.pub`));
      expect(await login({ identityFiles: [path] }, { passphraseFile })).toBe('in\n');
    }
  });

  test('is asked about once for all machines, and again after a mistake', async () => {
    const { path, servers } = await lockedKey(3, passphrase);
    const { ask, asked } = person('wrong', passphrase);
    const transport = createTransport(await temporaryFolder(), { ask });
    onTestFinished(() => transport.close());
    const outputs = await Promise.all(
      servers.map((server) => run(transport, targetOf(server, path, { user: server.user }), 'echo in')),
    );
    expect(outputs.map(({ stdout }) => stdout)).toEqual(['in\n', 'in\n', 'in\n']);
    expect(asked).toEqual(Array(2).fill({ text: `Passphrase for the key "${path}": `, isSecret: true }));
  });

  test('at its usual place is asked about only by a machine that takes it', async () => {
    const { path, servers } = await lockedKey(1, passphrase);
    const [server] = servers;
    if (server === undefined) throw new Error('no server');
    const home = join(path, '..');
    const { ask, asked } = person(passphrase);
    const transport = createTransport(join(home, '..'), { ask });
    onTestFinished(() => transport.close());
    const target = targetOf(server, undefined, {
      user: server.user,
      userKnownHostsFiles: [join(home, 'known_hosts')],
    });
    await writeFile(join(server.folder, 'authorized_keys'), '');
    const error = await failure(transport.exec(target, 'true'), 'ssh-authentication');
    expect(error.message).toContain(`${path} (ssh-ed25519 SHA256:`);
    expect(asked).toEqual([]);
    await writeFile(join(server.folder, 'authorized_keys'), await readFile(`${path}.pub`));
    expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
    expect(asked).toHaveLength(1);
  });

  test('stays locked if the passphrase is wrong or no question is allowed; no passphrase is ever printed', async () => {
    const { path, servers } = await lockedKey(1, passphrase);
    const [server] = servers;
    if (server === undefined) throw new Error('no server');
    const passphraseFile = `${path}.passphrase`;
    await writeFile(passphraseFile, 'wrong secret\n');
    const { ask, asked } = person(passphrase);
    const transport = createTransport(server.folder, { ask, passphraseFile });
    onTestFinished(() => transport.close());
    const target = targetOf(server, path, { user: server.user, batchMode: true });
    const error = await failure(transport.exec(target, 'true'), 'ssh-authentication');
    expect(error.message).toContain(`the passphrase in "${passphraseFile}" does not open it`);
    expect(`${error.stack} ${error.hint}`).not.toContain('wrong secret');
    expect(asked).toEqual([]);
  });
});

describe.skipIf(!hasSshd || !hasAgent)('an agent with twenty keys', () => {
  test('is asked for the named key first: six tries are enough', async () => {
    const { server, login } = await setUp(['MaxAuthTries 6']);
    const paths = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const path = join(server.folder, `key-${i}`);
        const key = newKey();
        await writeFile(path, key.private, { mode: 0o600 });
        await writeFile(`${path}.pub`, `${key.public}\n`);
        return path;
      }),
    );
    const last = paths.at(-1) ?? '';
    await writeFile(join(server.folder, 'authorized_keys'), await readFile(`${last}.pub`));
    const identityAgent = await startAgent(server.folder, paths);
    for (const identitiesOnly of [true, false])
      expect(await login({ identityFiles: [`${last}.pub`], identityAgent, identitiesOnly })).toBe('in\n');
    const nothing = { identityFiles: [], identityAgent, identitiesOnly: false };
    const error = await failure(login(nothing), 'ssh-authentication');
    expect(error.message).toMatch(/Too many authentication failures/);
    expect(error.message.match(/SHA256:/g)).toHaveLength(6);
    expect(error.hint).toBe('Set identity_file in [ssh] to the right key (--ssh-identity-file FILE)');
  });
});

describe('a second factor after the key', () => {
  test('is asked for on the terminal, every line marked as the words of the machine', async () => {
    const { login } = await startTwoFactor('123456');
    const { ask, asked } = person('123456');
    expect(await login({ ask })).toBe('in\n');
    expect(asked).toEqual([{ text: '(core@m1) Two factors\n(core@m1) \u001b[31mToken: ', isSecret: true }]);
  });

  test('may be mistyped', async () => {
    const { login } = await startTwoFactor('123456');
    const { ask, asked } = person('654321', '123456');
    expect(await login({ ask })).toBe('in\n');
    expect(asked).toHaveLength(2);
  });

  test('is asked a limited number of times, and not without a terminal', async () => {
    const { login } = await startTwoFactor('123456');
    const { ask, asked } = person('1', '2', '3', '4', '5');
    const error = await failure(login({ ask }), 'ssh-authentication');
    expect(error.message).toMatch(
      /did not let "core" in with \S+ \(ssh-ed25519 \S+\), answers to its questions$/,
    );
    expect(asked).toHaveLength(3);
    const alone = await failure(login({}), 'ssh-authentication');
    expect(alone.message).toMatch(
      /: after a key it also requires keyboard-interactive, which cannot be answered here$/,
    );
    expect(alone.hint).toBe('Log in from a terminal');
  });

  test('does not count as time of the machine', async () => {
    const { login } = await startTwoFactor('123456');
    const ask: Ask = () => new Promise((resolve) => setTimeout(resolve, 700, '123456'));
    expect(await login({ ask }, { connectTimeoutMs: 500 })).toBe('in\n');
  });
});

describe('a password', () => {
  const wanted = {
    passwordAuthentication: true,
    preferredAuthentications: ['publickey', 'password'],
  } as const;

  test('is asked for where it is wanted, as often as it may be', async () => {
    const { login } = await startPasswordServer('secret');
    const { ask, asked } = person('wrong', 'secret');
    expect(await login({ ask }, wanted)).toBe('in\n');
    expect(asked).toEqual(Array(2).fill({ text: '(core@m1) password: ', isSecret: true }));
  });

  test('is never asked for otherwise', async () => {
    const { login } = await startPasswordServer('secret');
    const { ask, asked } = person('secret');
    const error = await failure(login({ ask }), 'ssh-authentication');
    expect(error.message).toMatch(/: it accepts no keys, only password$/);
    expect(asked).toEqual([]);
  });
});

/** Answers, one after the other, and what was asked. */
function person(...answers: readonly string[]) {
  const left = [...answers];
  const asked: Question[] = [];
  const ask: Ask = async (question) => {
    asked.push(question);
    return left.shift();
  };
  return { ask, asked };
}

async function setUp(config?: OpenSshConfig) {
  const server = await startOpenSsh(config);
  await writeFile(join(server.folder, 'principals'), 'me\n');
  const login = async (changes: Partial<SshTarget>, options: Partial<Ssh2TransportOptions> = {}) => {
    const transport = createTransport(server.folder, options);
    onTestFinished(() => transport.close());
    const target = targetOf(server, server.identityFile, { user: server.user, ...changes });
    return (await run(transport, target, 'echo in')).stdout;
  };
  return { server, login };
}

/** Writes a key and a certificate for it; returns its path. */
async function certify(
  { folder }: OpenSsh,
  key: ReturnType<typeof newKey>,
  name: string,
  ...options: readonly string[]
): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, key.private, { mode: 0o600 });
  await writeFile(`${path}.pub`, `${key.public}\n`);
  spawnSync('ssh-keygen', ['-q', '-s', join(folder, 'authority'), '-I', 'test', ...options, `${path}.pub`]);
  return path;
}

/** Servers that let one key in, which lies encrypted at its usual place in a home folder. */
async function lockedKey(count: number, passphrase: string) {
  const path = join(await temporaryFolder(), '.ssh', 'id_ed25519');
  spawnSync('mkdir', [join(path, '..')]);
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-a', '2', '-N', passphrase, '-f', path]);
  const servers = await Promise.all(Array.from({ length: count }, () => startOpenSsh()));
  for (const { folder } of servers)
    await writeFile(join(folder, 'authorized_keys'), await readFile(`${path}.pub`));
  return { path, servers };
}

/** OpenSSH's agent with the keys of these files, and their certificates. */
async function startAgent(folder: string, paths: readonly string[]): Promise<string> {
  const socket = join(folder, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void agent.kill());
  await new Promise((resolve) => agent.stdout.once('data', resolve));
  const { status, stderr } = spawnSync('ssh-add', ['-q', ...paths], { env: { SSH_AUTH_SOCK: socket } });
  if (status !== 0) throw new Error(String(stderr));
  return socket;
}

/** sshd asks for a second factor through PAM only, so this is a server of ssh2. */
async function startTwoFactor(token: string) {
  return startServer((context) => {
    if (context.method === 'publickey') return context.reject(['keyboard-interactive'], true);
    if (context.method !== 'keyboard-interactive') return context.reject(['publickey']);
    return context.prompt([{ prompt: '\u001b[31mToken: ', echo: false }], 'Two factors', ([answer]) => {
      if (answer === token) context.accept();
      else context.reject(['keyboard-interactive'], true);
    });
  });
}

async function startPasswordServer(password: string) {
  return startServer((context) => {
    if (context.method === 'password' && context.password === password) context.accept();
    else context.reject(['password']);
  });
}

async function startServer(authenticate: (context: ssh2.AuthContext) => void) {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'id'), newKey().private);
  const server = new ssh2.Server({ hostKeys: [newKey().private] }, (client) => {
    client.on('error', () => undefined).on('authentication', authenticate);
    client.on('session', (accept) =>
      accept().on('exec', (open) => {
        const channel = open();
        channel.write('in\n');
        channel.exit(0);
        channel.end();
      }),
    );
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const login = async (options: Partial<Ssh2TransportOptions>, changes: Partial<SshTarget> = {}) => {
    const transport = createTransport(folder, options);
    onTestFinished(() => transport.close());
    const target = targetOf({ host: '127.0.0.1', port }, join(folder, 'id'), changes);
    return (await run(transport, target, 'echo in')).stdout;
  };
  return { login };
}
