import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { Transport } from '../../src/ssh/transport.ts';
import { freePort, hasSshd, startOpenSsh } from './openssh.ts';
import { createTransport, failure, run, targetOf } from './support.ts';

const MEGABYTE = 1024 * 1024;

if (!hasSshd) console.log('skipped: the tests against OpenSSH, for there is no /usr/sbin/sshd');
const against = test.skipIf(!hasSshd);

against('a server whose port is taken before it listens gets another one', async () => {
  const taken = (await startOpenSsh()).port;
  const ports = [taken];
  const { port } = await startOpenSsh([], [], async () => ports.pop() ?? (await freePort()));
  expect(port).not.toBe(taken);
});

against('streams, statuses and signals are passed', async () => {
  const { transport, target } = await setUp();
  const outcome = await run(transport, target, 'exec /bin/sh -s', 'echo out; echo err >&2; exit 3\n');
  expect(outcome).toEqual({ exit: { status: 3 }, stdout: 'out\n', stderr: 'err\n' });
  expect((await run(transport, target, 'kill -TERM $$')).exit).toEqual({ signal: 'SIGTERM' });
});

against('a command that closes its output continues until it exits', async () => {
  const { transport, target } = await setUp();
  const outcome = await run(transport, target, 'echo last; exec >&- 2>&-; sleep 0.2; exit 5');
  expect(outcome).toEqual({ exit: { status: 5 }, stdout: 'last\n', stderr: '' });
});

against('megabytes go in and come out on both streams, through new key exchanges', async () => {
  const { transport, target } = await setUp(['RekeyLimit 1M']);
  const input = 'x'.repeat(4 * MEGABYTE);
  const { exit, stdout, stderr } = await run(transport, target, 'tee /dev/stderr', input);
  expect({ exit, out: stdout.length, err: stderr.length }).toEqual({
    exit: { status: 0 },
    out: input.length,
    err: input.length,
  });
});

against.each(['ed25519', 'ecdsa', 'rsa'])('a host of three keys is known by its %s key', async (type) => {
  const { transport, target, server } = await setUp([], { strictHostKeyChecking: 'ask' });
  const { stdout } = spawnSync('ssh-keyscan', ['-t', type, '-p', String(target.port), target.host]);
  const file = join(server.folder, 'known_hosts');
  await writeFile(file, stdout);
  expect(spawnSync('ssh-keygen', ['-H', '-f', file]).status).toBe(0);
  expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
});

against('what is learnt, ssh understands', async () => {
  const { transport, target, server } = await setUp();
  await run(transport, target, 'true');
  const file = join(server.folder, 'known_hosts');
  expect(await readFile(file, 'utf8')).toMatch(/^\[127\.0\.0\.1\]:\d+ ssh-ed25519 \S+\n$/);
  const strict = ['-F', 'none', '-o', `UserKnownHostsFile=${file}`, '-o', 'StrictHostKeyChecking=yes'];
  const login = ['-i', server.identityFile, '-o', 'IdentityAgent=none', '-p', String(target.port)];
  const ssh = spawnSync('ssh', [...strict, ...login, `${target.user}@${target.host}`, 'echo in']);
  expect(String(ssh.stdout)).toBe('in\n');
});

against('too many wrong keys end the login with what the machine says', async () => {
  const { target, server } = await setUp(['MaxAuthTries 1']);
  const transport = createTransport(server.folder);
  onTestFinished(() => transport.close());
  await writeFile(join(server.folder, 'authorized_keys'), '');
  const error = await failure(transport.exec(target, 'true'), 'ssh-authentication');
  expect(error.message).toMatch(/ in with \S+\/id \(ssh-ed25519 \S+\) \(Too many authentication failures\)$/);
});

against('a stopped sshd is a timeout', async () => {
  const { transport, target, server } = await setUp([], { connectTimeoutMs: 500 });
  process.kill(server.pid, 'SIGSTOP');
  const error = await failure(transport.exec(target, 'true'), 'ssh-timeout');
  expect(error.message).toMatch(/: it accepts connections but does not speak SSH within 500ms$/);
});

against('a session that is stopped is lost after the keepalive timeout', async () => {
  const { transport, target } = await setUp([], { keepaliveTimeoutMs: 1000 });
  const { command, session } = await startSleep(transport, target);
  process.kill(session, 'SIGSTOP');
  expect((await failure(command.exit, 'ssh-lost')).message).toMatch(/: no answer within 1s$/);
  process.kill(session, 'SIGKILL');
});

against('a session that is killed is lost', async () => {
  const { transport, target } = await setUp();
  const { command, session } = await startSleep(transport, target);
  process.kill(session, 'SIGKILL');
  expect((await failure(command.exit, 'ssh-lost')).message).toMatch(/: the connection was closed$/);
  expect((await run(transport, target, 'echo again')).stdout).toBe('again\n');
});

against('a command without output for a long time is not ended', async () => {
  const { transport, target } = await setUp([], { keepaliveTimeoutMs: 800 });
  expect((await run(transport, target, 'sleep 2; echo done')).stdout).toBe('done\n');
});

async function setUp(config: readonly string[] = [], changes: Partial<SshTarget> = {}) {
  const server = await startOpenSsh(config);
  const transport = createTransport(server.folder);
  onTestFinished(() => transport.close());
  return {
    server,
    transport,
    target: targetOf(server, server.identityFile, { user: server.user, ...changes }),
  };
}

/** A running command, and the process of sshd with its session. */
async function startSleep(transport: Transport, target: SshTarget) {
  const command = await transport.exec(target, 'echo $PPID $$; exec sleep 20');
  const line = await new Promise<string>((resolve) => command.onStdout((chunk) => resolve(String(chunk))));
  const [session = 0, sleep = 0] = line.split(' ').map(Number);
  // sshd leaves a command without a terminal alone when its session goes away.
  onTestFinished(() => void process.kill(sleep, 'SIGKILL'));
  return { command, session };
}
