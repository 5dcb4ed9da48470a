import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import ssh2 from 'ssh2';
import { describe, expect, onTestFinished, test } from 'vitest';
import { newKey, startSshd } from '../support/sshd.ts';
import { createTransport, failure, run, targetOf, temporaryFolder } from './support.ts';

type Key = ReturnType<typeof newKey>;
const mine = newKey();
const other = newKey('ecdsa');
const third = newKey('rsa');
const locked = newKey('rsa', 'secret');
const unlocked = reopened(locked, 'secret');

type Case = {
  /** Files below the home folder. */
  readonly files?: Readonly<Record<string, string>>;
  readonly identity?: string;
  readonly agent?: readonly Key[];
  readonly accepted: Key;
};

describe('a login succeeds', () => {
  test.each<[string, Case]>([
    ['with the identity file, ed25519', { identity: 'k', files: { k: mine.private }, accepted: mine }],
    ['with the identity file, ecdsa', { identity: 'k', files: { k: other.private }, accepted: other }],
    ['with the identity file, rsa', { identity: 'k', files: { k: third.private }, accepted: third }],
    ['with the agent', { agent: [mine], accepted: mine }],
    ['with an rsa key of the agent', { agent: [third], accepted: third }],
    ['with the second key of the agent', { agent: [other, mine], accepted: mine }],
    ['with a default key file', { files: { '.ssh/id_ed25519': mine.private }, accepted: mine }],
    [
      'with the last default key file',
      { files: { '.ssh/id_ed25519': mine.private, '.ssh/id_rsa': third.private }, accepted: third },
    ],
    [
      'with a default key file when the agent has the wrong keys',
      { agent: [other], files: { '.ssh/id_ed25519': mine.private }, accepted: mine },
    ],
    [
      'with an encrypted identity file that the agent holds',
      {
        identity: 'k',
        files: { k: locked.private },
        agent: [other, unlocked],
        accepted: unlocked,
      },
    ],
    [
      'with a public identity file whose other half the agent holds',
      {
        identity: 'k.pub',
        files: { 'k.pub': mine.public },
        agent: [other, mine],
        accepted: mine,
      },
    ],
  ])('%s', async (_, given) => {
    const { transport, target } = await setUp(given);
    expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
  });
});

describe('a login fails', () => {
  test.each<[string, Case, RegExp, RegExp]>([
    [
      'with the wrong identity file, and nothing else is tried',
      { identity: 'k', files: { k: other.private }, agent: [mine], accepted: mine },
      /: it did not let "core" in with \S+\/k \(ecdsa-sha2-nistp256 SHA256:\S{43}\)$/,
      /authorized_keys of "core"/,
    ],
    [
      'with wrong keys of the agent and of the home folder, which are named',
      { agent: [other], files: { '.ssh/id_rsa': third.private }, accepted: mine },
      /in with \S+\/\.ssh\/id_rsa \(ssh-rsa SHA256:\S+\), agent key "key 0" \(ecdsa-sha2-nistp256 SHA256:\S+\)$/,
      /authorized_keys/,
    ],
    [
      'with no key at all',
      { accepted: mine },
      /: there is no key to log in with as "core"$/,
      /Set identity_file/,
    ],
    [
      'with an encrypted identity file and no agent',
      { identity: 'k', files: { k: locked.private }, accepted: unlocked },
      /: the key file "\S+\/k" is encrypted and there is no agent$/,
      /^Add it to the agent: ssh-add \S+\/k; or set identity_passphrase_file/,
    ],
    [
      'with an encrypted identity file that the agent does not hold',
      { identity: 'k', files: { k: locked.private }, agent: [mine], accepted: mine },
      /is encrypted and the agent does not hold it$/,
      /^Add it to the agent: ssh-add \S+\/k; or set identity_passphrase_file/,
    ],
    [
      'with a public key without its private half',
      { identity: 'k', files: { k: mine.public }, accepted: mine },
      /holds a public key only and there is no agent$/,
      /Name the private key/,
    ],
    [
      'with an encrypted default key file, which is reported',
      { files: { '.ssh/id_ed25519': locked.private }, accepted: unlocked },
      /there is no key to log in with as "core": the key file \S+id_ed25519" is encrypted and there is no agent$/,
      /ssh-add/,
    ],
    [
      'with an identity file that is not there',
      { identity: 'k', accepted: mine },
      /: there is no key file "\S+\/k"$/,
      /Check identity_file/,
    ],
    [
      'with an identity file that is not a key',
      { identity: 'k', files: { k: 'Dear Ms. Meier' }, accepted: mine },
      /: cannot use the key file "\S+\/k": it is no private key in a format that OpenSSH writes$/,
      /Check identity_file/,
    ],
  ])('%s', async (_, given, message, hint) => {
    const { transport, target, sshd } = await setUp(given);
    const error = await failure(transport.exec(target, 'true'), 'ssh-authentication');
    expect(error.message).toMatch(/^Cannot reach machine "m1" \(127\.0\.0\.1:\d+\): /);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expect(sshd.execs()).toEqual([]);
  });

  test('as the wrong user', async () => {
    const { transport, target } = await setUp({ identity: 'k', files: { k: mine.private }, accepted: mine });
    const error = await failure(transport.exec({ ...target, user: 'mallory' }, 'true'), 'ssh-authentication');
    expect(error.message).toMatch(/: it did not let "mallory" in with /);
  });

  test('where no process answers on the socket of the agent', async () => {
    const { target, folder } = await setUp({ accepted: mine });
    const transport = createTransport(folder);
    onTestFinished(() => transport.close());
    const lonely = { ...target, identityAgent: join(folder, 'gone') };
    await failure(transport.exec(lonely, 'true'), 'ssh-authentication');
  });

  test('where no keys are accepted, only passwords', async () => {
    const { transport, target } = await setUp({ identity: 'k', files: { k: mine.private }, accepted: mine });
    const server = await serve((context) => context.reject(['password', 'keyboard-interactive']));
    const error = await failure(transport.exec({ ...target, port: server }, 'true'), 'ssh-authentication');
    expect(error.message).toMatch(/: it accepts no keys, only password, keyboard-interactive$/);
  });

  test('where a key is not enough', async () => {
    const { transport, target } = await setUp({ identity: 'k', files: { k: mine.private }, accepted: mine });
    const server = await serve((context) => {
      if (context.method === 'publickey' && context.signature === undefined) context.accept();
      else context.reject(['keyboard-interactive'], true);
    });
    const error = await failure(transport.exec({ ...target, port: server }, 'true'), 'ssh-authentication');
    expect(error.message).toMatch(/: after a key it also requires keyboard-interactive, /);
  });

  test('where the agent refuses to sign, and says so', async () => {
    const folder = await temporaryFolder();
    const agentSocket = await startAgent(folder, [mine], 'refuses');
    const sshd = await startSshd({ acceptedKeys: [mine.public] });
    const transport = createTransport(folder);
    onTestFinished(() => sshd.close());
    onTestFinished(() => transport.close());
    const target = targetOf(sshd, undefined, {
      identityAgent: agentSocket,
      userKnownHostsFiles: [join(folder, 'known_hosts')],
    });
    const error = await failure(transport.exec(target, 'true'), 'ssh-authentication');
    expect(error.message).toMatch(
      /in with agent key "key 0" \(ssh-ed25519 \S+\) \(agent key "key 0": the agent refused to sign\)$/,
    );
  });
});

test('after a failure the keys are read again', async () => {
  const { transport, target, folder } = await setUp({
    identity: 'k',
    files: { k: other.private },
    accepted: mine,
  });
  await failure(transport.exec(target, 'true'), 'ssh-authentication');
  await writeFile(join(folder, 'k'), mine.private);
  expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
});

test('no private key and no passphrase ever stands in a message', async () => {
  const { transport, target } = await setUp({ identity: 'k', files: { k: other.private }, accepted: mine });
  const error = await failure(transport.exec(target, 'true'), 'ssh-authentication');
  const secrets = other.private.split('\n').filter((line) => line.length > 20);
  for (const secret of secrets) expect(`${error.stack} ${error.hint}`).not.toContain(secret);
});

async function setUp({ files = {}, identity, agent, accepted }: Case) {
  const folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const agentSocket = agent === undefined ? undefined : await startAgent(folder, agent);
  const sshd = await startSshd({ user: 'core', acceptedKeys: [accepted.public] });
  const transport = createTransport(folder);
  onTestFinished(() => sshd.close());
  onTestFinished(() => transport.close());
  const target = targetOf(sshd, identity === undefined ? undefined : join(folder, identity), {
    identityAgent: agentSocket,
    userKnownHostsFiles: [join(folder, 'known_hosts')],
  });
  return { folder, sshd, transport, target };
}

/** An agent in this process; its keys have the comments "key 0", "key 1" and so on. */
async function startAgent(folder: string, keys: readonly Key[], mood: 'signs' | 'refuses' = 'signs') {
  const held = keys.map((key, i) => Object.assign(parsed(key.private), { comment: `key ${i}` }));
  const server = createServer((socket) => {
    const agent = new ssh2.AgentProtocol(false);
    socket.on('error', () => undefined);
    agent.on('identities', (request) => agent.getIdentitiesReply(request, held));
    agent.on('sign', (request, publicKey, data, { hash }) => {
      const key = held.find((one) => one.getPublicSSH().equals(publicKey.getPublicSSH()));
      if (key === undefined || mood === 'refuses') agent.failureReply(request);
      else agent.signReply(request, key.sign(data, hash));
    });
    agent.pipe(socket).pipe(agent);
  });
  const path = join(folder, 'agent');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return path;
}

/** A minimal SSH server with its own authentication. */
async function serve(authenticate: (context: ssh2.AuthContext) => void): Promise<number> {
  const server = new ssh2.Server({ hostKeys: [newKey().private] }, (client) => {
    client.on('error', () => undefined).on('authentication', authenticate);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

function parsed(text: string, passphrase?: string): ssh2.ParsedKey {
  const key = ssh2.utils.parseKey(text, passphrase);
  if (key instanceof Error) throw key;
  return key;
}

/** The same key without its passphrase, in the form in which an agent of these tests takes it. */
function reopened(key: Key, passphrase: string): Key {
  return { private: parsed(key.private, passphrase).getPrivatePEM(), public: key.public };
}
