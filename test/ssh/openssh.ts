import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { newKey } from '../support/sshd.ts';
import { temporaryFolder } from './support.ts';

const PROGRAM = '/usr/sbin/sshd';
export const hasSshd = existsSync(PROGRAM);

export type OpenSsh = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly folder: string;
  /** Private key that is let in. */
  readonly identityFile: string;
  /** The listening process; those of the sessions are its children. */
  readonly pid: number;
  /** What it has said so far. */
  log(): string;
};

/** Lines for sshd_config; a function gets the folder of the server with all keys in it, and may add to it. */
export type OpenSshConfig = readonly string[] | ((folder: string) => readonly string[]);

/**
 * A throwaway OpenSSH server on a free loopback port, with its own configuration, for one test. `pam` are the lines
 * of its PAM service, which `UsePAM yes` turns on; they are visible only to this server.
 */
export async function startOpenSsh(
  config: OpenSshConfig = [],
  pam: readonly string[] = [],
  choosePort: () => Promise<number> = freePort,
): Promise<OpenSsh> {
  const folder = await temporaryFolder();
  const key = newKey();
  const identityFile = join(folder, 'id');
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(folder, name), text, { mode: 0o600 });
  await Promise.all([
    write('id', key.private),
    write('authorized_keys', `${key.public}\n`),
    write('id.pub', `${key.public}\n`),
    ...(['ed25519', 'ecdsa', 'rsa'] as const).flatMap((type) => {
      const hostKey = newKey(type);
      return [write(`host_${type}`, hostKey.private), write(`host_${type}.pub`, `${hostKey.public}\n`)];
    }),
  ]);
  const lines = typeof config === 'function' ? config(folder) : config;
  // sshd run by root wants this folder; systemd makes it for a sshd.service.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true });
  const words = [PROGRAM, '-D', '-e', '-f', join(folder, 'config')];
  await write('pam', `${pam.join('\n')}\n`);
  const own = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount --bind "$0" /etc/pam.d/sshd && exec "$@"',
    join(folder, 'pam'),
  ];
  const [program = '', ...options] = pam.length === 0 ? words : [...own, ...words];
  // sshd chooses no free port itself, and another process may take this one first.
  for (;;) {
    const port = await choosePort();
    await write('config', configuration(folder, port, lines));
    const child = spawn(program, options, { stdio: ['ignore', 'ignore', 'pipe'] });
    onTestFinished(() => stop(child));
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk;
    });
    if (!(await listens(child))) continue;
    const { username: user } = userInfo();
    const pid = child.pid ?? 0;
    return { host: '127.0.0.1', port, user, folder, identityFile, pid, log: () => log };
  }
}

function configuration(folder: string, port: number, config: readonly string[]): string {
  return [
    ...config,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/host_ed25519`,
    `HostKey ${folder}/host_ecdsa`,
    `HostKey ${folder}/host_rsa`,
    `AuthorizedKeysFile ${folder}/authorized_keys`,
    `PidFile ${folder}/pid`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    // bash reads ~/.bashrc under sshd, unless it believes that it runs in another shell.
    'SetEnv SHLVL=1',
    '',
  ].join('\n');
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when sshd says that it listens, or with false if its port is taken. */
function listens(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      log += chunk;
      if (log.includes('Server listening on')) resolve(true);
    });
    child.on('error', reject).on('close', () => {
      if (log.includes('Address already in use')) resolve(false);
      else reject(new Error(`sshd did not start: ${log}`));
    });
  });
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on('exit', () => resolve());
    child.kill('SIGKILL');
    return undefined;
  });
}
