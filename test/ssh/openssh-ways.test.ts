import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { PrivateFolder } from '../../src/ssh/openssh/folder.ts';
import { OpensshTransport } from '../../src/ssh/openssh/transport.ts';
import type { SshTarget } from '../../src/ssh/target.ts';
import { bundle } from '../support/bundle.ts';
import { hasSshd, type OpenSsh, startOpenSsh } from './openssh.ts';
import { createOpenssh, failure, run, targetOf, temporaryFolder } from './support.ts';

const hasBoth = hasSshd && spawnSync('ssh', ['-V']).status === 0;
if (!hasBoth) console.log('skipped: ssh(1) to OpenSSH, for one of them is not there');

describe.skipIf(!hasBoth)('ssh(1) as a transport', () => {
  test('goes through two jump hosts with different host keys, over one connection to each', async () => {
    const [first, second, last] = await Promise.all([startOpenSsh(), startOpenSsh(), startOpenSsh()]);
    const { transport, target, folder } = await setUp(last);
    const jumps = [first, second].map((server, i) => ({ ...aim(server, folder), name: `jump-${i}` }));
    const far: SshTarget = { ...target, via: { kind: 'jump', jumps } };
    const names = Array.from({ length: 6 }, (_, i) => `m${i}`);
    const outcomes = await Promise.all(names.map((name) => run(transport, { ...far, name }, 'echo in')));
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(names.map(() => 'in\n'));
    const known = await readFile(join(folder, 'known_hosts'), 'utf8');
    expect(new Set(known.match(/^\S+/gm))).toEqual(
      new Set([first, second, last].map(({ port }) => `[127.0.0.1]:${port}`)),
    );
    expect(children(first)).toBe(1);
    expect(children(second)).toBe(1);
  });

  test('goes through a ProxyCommand', async () => {
    const [bastion, server] = await Promise.all([startOpenSsh(), startOpenSsh()]);
    const { transport, target } = await setUp(server);
    const login = `-F none -i ${bastion.identityFile} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null`;
    const command = `ssh ${login} -p ${bastion.port} -W 127.0.0.1:${server.port} 127.0.0.1`;
    expect((await run(transport, { ...target, via: { kind: 'command', command } }, 'echo in')).stdout).toBe(
      'in\n',
    );
  });

  test('opens more connections where one carries one session', async () => {
    const { transport, target } = await setUp(await startOpenSsh(['MaxSessions 1']));
    const commands = [0, 1, 2, 3].map((i) => run(transport, target, `sleep 0.3; echo ${i}`));
    expect((await Promise.all(commands)).map(({ stdout }) => stdout)).toEqual(['0\n', '1\n', '2\n', '3\n']);
  });

  test('comes back where a sshd drops connections early', async () => {
    const { transport, target } = await setUp(await startOpenSsh(['MaxStartups 2:50:4']), 25_000);
    const names = Array.from({ length: 8 }, (_, i) => `m${i}`);
    const outcomes = await Promise.all(names.map((name) => run(transport, { ...target, name }, 'echo in')));
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(names.map(() => 'in\n'));
  });

  test('looks into its own files for the name that was written', async () => {
    const server = await startOpenSsh();
    const folder = await temporaryFolder();
    const configFile = join(folder, 'config');
    // The server must have a key that it does not have, so a login that uses this fails.
    await appendFile(configFile, 'Host barred\n  HostKeyAlgorithms ecdsa-sha2-nistp521\n');
    const transport = new OpensshTransport({ configFile, hasTerminal: false, environment: process.env });
    onTestFinished(() => transport.close());
    const target = { ...aim(server, folder), connectTimeoutMs: 10_000 };
    expect((await run(transport, { ...target, alias: 'free' }, 'echo in')).stdout).toBe('in\n');
    const barred = { ...target, name: 'barred', alias: 'barred' };
    await expect(run(transport, barred, 'echo in')).rejects.toBeInstanceOf(FleetError);
  });

  test('speaks with a server that ssh2 has nothing in common with', async () => {
    const server = await startOpenSsh(['KexAlgorithms sntrup761x25519-sha512@openssh.com']);
    const { transport, target } = await setUp(server);
    expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
  });

  test('names what is wrong with its command line', async () => {
    const { transport, target } = await setUp(await startOpenSsh());
    const odd = { ...target, algorithms: { ...target.algorithms, ciphers: ['rot13'] } };
    expect((await failure(transport.exec(odd, 'true'), 'ssh-local')).message).toMatch(/Bad SSH2 cipher spec/);
  });

  test('keeps a short log, however many sessions there are', async () => {
    const { transport, target } = await setUp(await startOpenSsh());
    await run(transport, target, 'true');
    const folder = folderOf(target);
    const log = join(folder, readdirSync(folder).find((name) => name.endsWith('.log')) ?? '');
    await appendFile(log, 'x'.repeat(200_000));
    await run(transport, target, 'true');
    expect(statSync(log).size).toBeLessThan(10_000);
    const [credential] = target.identityFiles;
    expect(await transport.login(target)).toEqual({ address: '127.0.0.1', credential });
  });

  test('leaves no process and no file behind', async () => {
    const { transport, target } = await setUp(await startOpenSsh());
    const command = await transport.exec(target, 'sleep 60');
    const folder = folderOf(target);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    await transport.close();
    await failure(command.exit, 'ssh-lost');
    expect(existsSync(folder)).toBe(false);
    expect(masters(folder)).toBe('');
  });

  test('ends with the process it belongs to, however that ends', async () => {
    const server = await startOpenSsh();
    const folder = await temporaryFolder();
    const program = await bundle(new URL('./openssh-worker.ts', import.meta.url), folder);
    const child = spawn(process.execPath, [program, JSON.stringify(aim(server, folder))], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: folder },
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const [sockets = ''] = readdirSync(folder).filter((name) => name.startsWith('fleet-ssh-'));
    expect(masters(join(folder, sockets))).not.toBe('');
    child.kill('SIGKILL');
    await expect.poll(() => masters(join(folder, sockets))).toBe('');
    await expect.poll(() => children(server)).toBe(0);
  });
});

test('the folder of sockets has a short path, wherever temporary files are', async () => {
  const long = join(await temporaryFolder(), 'x'.repeat(60));
  await mkdir(long);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = long;
  onTestFinished(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  const folder = new PrivateFolder();
  const socket = await folder.newFile('.sock');
  onTestFinished(() => folder.remove());
  expect(socket.length + 17).toBeLessThan(104);
});

async function setUp(server: OpenSsh, connectTimeoutMs = 10_000) {
  const folder = await temporaryFolder();
  const transport = createOpenssh();
  onTestFinished(() => transport.close());
  return { transport, folder, target: { ...aim(server, folder), connectTimeoutMs } };
}

function aim(server: OpenSsh, folder: string): SshTarget {
  return targetOf(server, server.identityFile, {
    user: server.user,
    transport: 'openssh',
    userKnownHostsFiles: [join(folder, 'known_hosts')],
  });
}

/** Connections that a sshd has now. */
function children(server: OpenSsh): number {
  return Number(spawnSync('pgrep', ['-c', '-P', String(server.pid)]).stdout);
}

/** The folder of the transport that is logged in at a target. */
function folderOf({ userKnownHostsFiles: [file = ''] }: SshTarget): string {
  const lines = String(spawnSync('pgrep', ['-af', file]).stdout);
  return /-E (\S*\/fleet-ssh-[^/\s]*)\//.exec(lines)?.[1] ?? '';
}

/** The ssh processes that have to do with a folder. */
function masters(folder: string): string {
  return String(spawnSync('pgrep', ['-f', `ssh .*${folder}`]).stdout);
}
