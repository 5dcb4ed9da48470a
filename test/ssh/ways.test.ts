import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SshTarget } from '../../src/ssh/target.ts';
import { hasSshd, type OpenSsh, startOpenSsh } from './openssh.ts';
import { createRig, failure, run, targetOf } from './support.ts';

if (!hasSshd) console.log('skipped: the ways to OpenSSH, for there is no /usr/sbin/sshd');
const against = describe.skipIf(!hasSshd);

against('through jump hosts', () => {
  test('two of them, each with its own key, host key and connection', async () => {
    const [first, second, last] = await Promise.all([startOpenSsh(), startOpenSsh(), startOpenSsh()]);
    const { transport } = await createRig();
    const target = through([first, second], toOpenSsh(last));
    const client = await run(transport, target, 'echo $SSH_CLIENT; echo $PPID');
    expect(client.exit).toEqual({ status: 0 });
    for (const { folder, port } of [first, second, last])
      expect(await readFile(join(folder, 'known_hosts'), 'utf8')).toMatch(
        new RegExp(`^\\[127\\.0\\.0\\.1\\]:${port} ssh-ed25519 \\S+\n$`),
      );
    const others = ['a', 'b', 'c', 'd'].map((name) => run(transport, { ...target, name }, 'echo in'));
    expect((await Promise.all(others)).map(({ stdout }) => stdout)).toEqual(Array(4).fill('in\n'));
    const inside = await run(transport, toOpenSsh(first), `pgrep -c -P ${first.pid}`);
    // The shared one, and the one that asks.
    expect(inside.stdout).toBe('2\n');
  });

  test('forty machines share one jump host with the limits of a default sshd', async () => {
    const jumpHost = await startOpenSsh(['MaxStartups 10:30:100', 'MaxSessions 10']);
    const { sshd, target, transport } = await createRig();
    const machines = Array.from({ length: 40 }, (_, i) => ({
      ...through([jumpHost], target),
      name: `m${i}`,
      connectTimeoutMs: 30_000,
    }));
    const outcomes = await Promise.all(machines.map((machine) => run(transport, machine, 'echo in')));
    expect(outcomes.filter(({ stdout }) => stdout === 'in\n')).toHaveLength(40);
    expect(sshd.connections()).toBe(40);
  });

  test('that cannot be logged in to are what the error is about', async () => {
    const [jumpHost, last] = await Promise.all([startOpenSsh(), startOpenSsh()]);
    const { transport } = await createRig();
    await writeFile(join(jumpHost.folder, 'authorized_keys'), '');
    const opening = transport.exec(through([jumpHost], toOpenSsh(last)), 'true');
    const error = await failure(opening, 'ssh-authentication');
    expect(error.message).toMatch(
      /^Cannot reach machine "m1" \(127.0.0.1:\d+\): cannot reach machine "jump-0" \(127.0.0.1:\d+\): it did not let/,
    );
  });

  test('that cannot reach the machine say why', async () => {
    const jumpHost = await startOpenSsh();
    const { transport, target } = await createRig();
    const opening = transport.exec(through([jumpHost], { ...target, port: 1 }), 'true');
    expect((await failure(opening, 'ssh-refused')).message).toBe(
      'Cannot reach machine "m1" (127.0.0.1:1): its jump host "jump-0" cannot reach it: "connection refused"',
    );
  });

  test('that forbid forwarding are reported as such', async () => {
    const jumpHost = await startOpenSsh(['AllowTcpForwarding no']);
    const { transport, target } = await createRig();
    const error = await failure(transport.exec(through([jumpHost], target), 'true'), 'ssh-turned-away');
    expect(error.message).toMatch(/: its jump host "jump-0" does not let it through$/);
    expect(error.hint).toContain('AllowTcpForwarding');
  });

  test('that go away take the commands behind them with them, and are used again', async () => {
    const jumpHost = await startOpenSsh();
    const { transport, target } = await createRig();
    const far = through([jumpHost], target);
    const command = await transport.exec(far, 'sleep 60');
    spawnSync('pkill', ['-KILL', '-P', String(jumpHost.pid)]);
    const error = await failure(command.exit, 'ssh-lost');
    expect(error.message).toContain('Lost machine "m1"');
    expect((await run(transport, far, 'echo again')).stdout).toBe('again\n');
  });

  test('disconnect a machine that stops reading during a large transfer', async () => {
    const jumpHost = await startOpenSsh();
    const { sshd, transport, target } = await createRig({}, { keepaliveTimeoutMs: 600 });
    const command = await transport.exec(through([jumpHost], target), 'cat');
    sshd.stall();
    command.write('x'.repeat(10_000_000));
    await failure(command.exit, 'ssh-lost');
  });

  test('that stop answering do so as well', async () => {
    const jumpHost = await startOpenSsh();
    const { transport, target } = await createRig({}, { keepaliveTimeoutMs: 600 });
    const command = await transport.exec(through([jumpHost], target), 'sleep 60');
    spawnSync('pkill', ['-STOP', '-P', String(jumpHost.pid)]);
    await failure(command.exit, 'ssh-lost');
    spawnSync('pkill', ['-KILL', '-P', String(jumpHost.pid)]);
  });
});

describe('through a ProxyCommand', () => {
  test('the machine is reached, and the command ends with the connection', async () => {
    const { transport, target, folder } = await createRig();
    const pidFile = join(folder, 'pid');
    const command = `sh -c 'echo $$ > ${pidFile}; exec ${netcat(target)}'`;
    const outcome = await run(
      transport,
      { ...target, via: { kind: 'command', command } },
      'cat',
      'x'.repeat(1e6),
    );
    expect(outcome.stdout).toHaveLength(1e6);
    const pid = Number(await readFile(pidFile, 'utf8'));
    process.kill(pid, 0);
    await transport.close();
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  test('what it says is in the error', async () => {
    const error = await proxyFailure('sh -c "echo no way there >&2; exit 3"');
    expect(error.message).toMatch(
      /: the connection was closed during the SSH handshake: its ProxyCommand ended with status 3: "no way there"$/,
    );
  });

  test('that does not exist is not tried again', async () => {
    const started = performance.now();
    const error = await proxyFailure('/nonexistent/proxy');
    expect(error.message).toMatch(/ its ProxyCommand ended with status 127: ".*not found"$/);
    expect(performance.now() - started).toBeLessThan(3000);
  });

  test('that prints nothing is a timeout, and is ended', async () => {
    const { transport, target, folder } = await createRig();
    const pidFile = join(folder, 'pid');
    const command = `sh -c 'echo $$ > ${pidFile}; exec sleep 60'`;
    const unresponsive = { ...target, via: { kind: 'command' as const, command }, connectTimeoutMs: 500 };
    await failure(transport.exec(unresponsive, 'true'), 'ssh-timeout');
    const pid = Number(await readFile(pidFile, 'utf8'));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  async function proxyFailure(command: string) {
    const { transport, target } = await createRig();
    const far = { ...target, via: { kind: 'command' as const, command }, connectTimeoutMs: 5000 };
    return failure(transport.exec(far, 'true'), 'ssh-lost');
  }
});

against('the limits of a sshd', () => {
  test('twenty machines on one that drops connections early are all reached', async () => {
    const server = await startOpenSsh(['MaxStartups 3:50:6']);
    const { transport } = await createRig();
    const machines = Array.from({ length: 20 }, (_, i) => ({ ...toOpenSsh(server), name: `m${i}` }));
    const outcomes = await Promise.all(machines.map((machine) => run(transport, machine, 'echo in')));
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(Array(20).fill('in\n'));
  });

  test('one session a connection is enough for many commands', async () => {
    const server = await startOpenSsh(['MaxSessions 1']);
    const { transport } = await createRig();
    const commands = Array.from({ length: 12 }, (_, i) =>
      run(transport, toOpenSsh(server), `sleep 0.3; echo ${i}`),
    );
    const outcomes = await Promise.all(commands);
    expect(outcomes.map(({ stdout }) => Number(stdout))).toEqual(commands.map((_, i) => i));
  });

  test('no session at all is an error at once', async () => {
    const server = await startOpenSsh(['MaxSessions 0']);
    const { transport } = await createRig();
    expect((await failure(transport.exec(toOpenSsh(server), 'true'), 'ssh-turned-away')).hint).toMatch(
      /MaxSessions/,
    );
  });
});

against('what a target says of the connection itself', () => {
  test('is what the two sides agree on', async () => {
    const server = await startOpenSsh(['LogLevel DEBUG1', 'Compression yes']);
    const { transport } = await createRig();
    const target: SshTarget = {
      ...toOpenSsh(server),
      compression: true,
      addressFamily: 'inet',
      bindAddress: '127.0.0.9',
      algorithms: {
        kex: ['sntrup761x25519-sha512@openssh.com', 'ecdh-sha2-nistp384'],
        ciphers: ['aes256-ctr'],
        macs: ['umac-64@openssh.com', 'hmac-sha2-512'],
        hostKeys: ['rsa-sha2-256'],
      },
    };
    expect((await run(transport, target, 'echo $SSH_CLIENT')).stdout).toMatch(/^127\.0\.0\.9 /);
    const log = server.log();
    expect(log).toContain('kex: algorithm: ecdh-sha2-nistp384');
    expect(log).toContain('kex: host key algorithm: rsa-sha2-256');
    expect(log).toContain('cipher: aes256-ctr MAC: hmac-sha2-512 compression: zlib@openssh.com');
  });

  test('is compressed until the end, also if a command is running', async () => {
    const server = await startOpenSsh(['Compression yes']);
    const { transport } = await createRig();
    const target = { ...toOpenSsh(server), compression: true };
    const process = await transport.exec(target, 'echo on; sleep 60');
    process.onStderr(() => undefined);
    process.end();
    await new Promise((resolve) => process.onStdout(resolve));
    await transport.close();
    await failure(process.exit, 'ssh-lost');
  });

  test('with nothing in common names the setting that would help', async () => {
    const server = await startOpenSsh(['KexAlgorithms sntrup761x25519-sha512@openssh.com']);
    const { transport } = await createRig();
    const error = await failure(transport.exec(toOpenSsh(server), 'true'), 'ssh-turned-away');
    expect(error.message).toMatch(/no matching key exchange algorithm$/);
    expect(error.hint).toContain('"transport = openssh" in [machine.m1]');
  });
});

function toOpenSsh(server: OpenSsh): SshTarget {
  return targetOf(server, server.identityFile, { user: server.user });
}

/** The target behind jump hosts, the nearest first. */
function through(servers: readonly OpenSsh[], target: SshTarget): SshTarget {
  const jumps = servers.map((server, i) => ({
    ...toOpenSsh(server),
    name: `jump-${i}`,
    keepaliveTimeoutMs: target.keepaliveTimeoutMs,
  }));
  return { ...target, via: { kind: 'jump', jumps } };
}

/** A command that joins its standard streams with a port. */
function netcat({ host, port }: SshTarget): string {
  const script = `s=require("net").connect(${port},"${host}");process.stdin.pipe(s).pipe(process.stdout)`;
  return `${process.execPath} -e "${script.replaceAll('"', String.raw`\"`)}"`;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
