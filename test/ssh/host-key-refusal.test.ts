import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AskHostKey, HostKeyQuestion } from '../../src/ssh/host-keys/trust.ts';
import { describeKey } from '../../src/ssh/keys/public-key.ts';
import { newKey, publicLine, type Sshd, startSshd } from '../support/sshd.ts';
import { createRig, createTransport, failure, run } from './support.ts';

const hostKey = newKey();
const line = publicLine(hostKey.private);
const shown = describeKey(blob(line));
const otherLine = publicLine(newKey().private);
const ecdsa = newKey('ecdsa');
const server = { hostKeys: [hostKey.private] };
const ask = { strictHostKeyChecking: 'ask' } as const;

/** What the file of known hosts says, given the name of the host in it, and who is asked. */
type Refusal = { readonly known?: (name: string) => string; readonly askHostKey?: AskHostKey };

describe('nothing but the key exchange reaches a host', () => {
  test.each<[string, Refusal, RegExp, RegExp]>([
    [
      'that is unknown, without a terminal',
      {},
      /: its host key is not known: ssh-ed25519 SHA256:[A-Za-z0-9+/]{43}$/,
      /"strict_host_key_checking = accept-new" in \[ssh\].*ssh-keyscan$/,
    ],
    [
      'that is unknown beside other hosts in the file',
      { known: () => `other ${line}\n` },
      /: its host key is not known: /,
      /accept-new/,
    ],
    [
      'that a person says no to',
      { askHostKey: async () => false },
      /: its host key was not accepted: ssh-ed25519 SHA256:/,
      /ssh-keygen -lf/,
    ],
    [
      'that has changed',
      { known: (name) => `# mine\n${name} ${otherLine}\n`, askHostKey: async () => true },
      /: its host key has changed: it shows ssh-ed25519 SHA256:\S+, but line 2 of "\S+" has ssh-ed25519 SHA256:\S+$/,
      /: ssh-keygen -R '\[127\.0\.0\.1\]:\d+' -f \S+$/,
    ],
    [
      'that has a key of another type only',
      { known: (name) => `${name} ${publicLine(ecdsa.private)}\n`, askHostKey: async () => true },
      /: its host key has changed: it shows ssh-ed25519 .* has ecdsa-sha2-nistp256 SHA256:/,
      /ssh-keygen -R/,
    ],
    [
      'whose key is revoked',
      { known: (name) => `${name} ${line}\n@revoked * ${line}\n`, askHostKey: async () => true },
      /: its host key is revoked by line 2 of "\S+": ssh-ed25519 SHA256:/,
      /Give the machine a new host key/,
    ],
    [
      'when a promise of false is all there is, as an async verifier gives',
      { askHostKey: () => Promise.resolve(Promise.resolve(false)) },
      /was not accepted/,
      /ssh-keygen -lf/,
    ],
    [
      'when the answer is no boolean at all',
      { askHostKey: () => Promise.resolve('yes' as unknown as boolean) },
      /was not accepted/,
      /ssh-keygen -lf/,
    ],
    [
      'when the answer is a function that would say yes',
      { askHostKey: () => Promise.resolve((() => true) as unknown as boolean) },
      /was not accepted/,
      /ssh-keygen -lf/,
    ],
  ])('%s', async (_, { known, askHostKey }, message, hint) => {
    const { target, sshd, folder, knownHostsFile } = await createRig(server, ask);
    const text = known?.(`[127.0.0.1]:${target.port}`) ?? '';
    if (text !== '') await writeFile(knownHostsFile, text);
    const transport = createTransport(folder, { askHostKey });
    onTestFinished(() => transport.close());
    const error = await failure(transport.exec(target, 'touch /tmp/never'), 'ssh-host-key');
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    await expectNothingSaid(sshd);
    expect(await readFile(knownHostsFile, 'utf8').catch(() => '')).toBe(text);
  });

  test('that has changed, not even for a target that takes new keys', async () => {
    const { target, sshd, transport, knownHostsFile } = await createRig(server);
    await writeFile(knownHostsFile, `[127.0.0.1]:${target.port} ${otherLine}\n`);
    await failure(transport.exec(target, 'true'), 'ssh-host-key');
    await expectNothingSaid(sshd);
  });

  test('while a person thinks, and no timeout runs meanwhile', async () => {
    const asked = deferred<HostKeyQuestion>();
    const answer = deferred<boolean>();
    const askHostKey: AskHostKey = (question) => {
      asked.resolve(question);
      return answer.promise;
    };
    const changes = { ...ask, connectTimeoutMs: 1000 };
    const { target, sshd, transport } = await createRig(server, changes, { askHostKey });
    const outcome = run(transport, target, 'echo in');
    expect(await asked.promise).toEqual({ machine: 'm1', host: '127.0.0.1', port: sshd.port, key: shown });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await expectNothingSaid(sshd);
    answer.resolve(true);
    expect((await outcome).stdout).toBe('in\n');
  });
});

describe('a host is let in', () => {
  test('and learnt when a person says yes, and not asked about again', async () => {
    let questions = 0;
    const askHostKey: AskHostKey = async () => {
      questions++;
      return true;
    };
    const { target, transport, folder, knownHostsFile } = await createRig(server, ask, { askHostKey });
    await run(transport, target, 'true');
    expect(await readFile(knownHostsFile, 'utf8')).toBe(`[127.0.0.1]:${target.port} ${line}\n`);
    const next = createTransport(folder, { askHostKey });
    onTestFinished(() => next.close());
    expect((await run(next, target, 'echo in')).stdout).toBe('in\n');
    expect(questions).toBe(1);
  });

  test('and learnt without a question where new keys are taken', async () => {
    const { target, transport, knownHostsFile, sshd } = await createRig(server);
    await run(transport, target, 'true');
    expect(await readFile(knownHostsFile, 'utf8')).toBe(`[127.0.0.1]:${target.port} ${line}\n`);
    expect(sshd.connections()).toBe(1);
  });

  test.each([
    ['ed25519', hostKey],
    ['ecdsa', ecdsa],
    ['rsa', newKey('rsa')],
  ])('by its known key, %s, though it has others', async (_, known) => {
    const hostKeys = [hostKey.private, ecdsa.private, known.private];
    const { target, transport, knownHostsFile } = await createRig({ hostKeys }, ask);
    await writeFile(knownHostsFile, `[127.0.0.1]:${target.port} ${publicLine(known.private)}\n`);
    expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
  });
});

describe('a person', () => {
  test('is asked one question at a time', async () => {
    let asking = 0;
    let most = 0;
    const askHostKey: AskHostKey = async () => {
      most = Math.max(most, ++asking);
      await new Promise((resolve) => setTimeout(resolve, 20));
      asking--;
      return true;
    };
    const { target, transport } = await createRig(server, ask, { askHostKey });
    const others = await Promise.all([startSshd(), startSshd(), startSshd()]);
    onTestFinished(async () => void (await Promise.all(others.map((one) => one.close()))));
    const machines = [target.port, ...others.map(({ port }) => port)];
    await Promise.all(machines.map((port, i) => run(transport, { ...target, name: `m${i}`, port }, 'true')));
    expect(most).toBe(1);
  });

  test('is asked once about a host that two machines share', async () => {
    const questions: string[] = [];
    const askHostKey: AskHostKey = async ({ machine }) => {
      questions.push(machine);
      return true;
    };
    const { target, transport } = await createRig(server, ask, { askHostKey });
    await Promise.all([
      run(transport, target, 'true'),
      run(transport, { ...target, name: 'm2' }, 'true'),
      run(transport, { ...target, user: 'root' }, 'true'),
    ]);
    expect(questions).toHaveLength(1);
  });

  test('who goes away ends the command, and closing the transport the wait', async () => {
    const gone = new Error('the terminal is gone');
    const first = await createRig(server, ask, { askHostKey: () => Promise.reject(gone) });
    await expect(first.transport.exec(first.target, 'true')).rejects.toBe(gone);

    const asked = deferred<void>();
    const askHostKey: AskHostKey = () => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    const { target, transport, sshd } = await createRig(server, ask, { askHostKey });
    const refused = failure(transport.exec(target, 'true'), 'ssh-lost');
    await asked.promise;
    await transport.close();
    expect((await refused).message).toMatch(/: the transport is closed$/);
    expect(sshd.execs()).toEqual([]);
  });
});

test('a new key that cannot be written down is not used', async () => {
  const { target, sshd, folder, transport } = await createRig(server);
  await writeFile(join(folder, 'file'), '');
  const lost = { ...target, userKnownHostsFiles: [join(folder, 'file', 'known_hosts')] };
  const error = await failure(transport.exec(lost, 'true'), 'local');
  expect(error.message).toMatch(/^Cannot (read|write) the file of known hosts "/);
  expect(sshd.execs()).toEqual([]);
});

test('a file of known hosts that cannot be read stops everything', async () => {
  const { target, sshd, transport, knownHostsFile } = await createRig(server);
  await mkdir(knownHostsFile);
  const error = await failure(transport.exec(target, 'true'), 'local');
  expect(error.message).toMatch(/^Cannot read the file of known hosts "/);
  expect(sshd.connections()).toBe(0);
});

/** The server saw a key exchange and the end of the connection, but no login and no command. */
async function expectNothingSaid(sshd: Sshd): Promise<void> {
  await expect.poll(() => sshd.openConnections()).toBe(0);
  expect(sshd.connections()).toBe(1);
  expect({ logins: sshd.logins(), execs: sshd.execs() }).toEqual({ logins: [], execs: [] });
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let settle: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: (value) => settle(value) };
}

function blob(text: string): Buffer {
  return Buffer.from(text.split(' ')[1] ?? '', 'base64');
}
