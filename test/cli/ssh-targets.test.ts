import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { forController } from '../../src/cli/fleetd/serve.ts';
import { sshTarget, sshTargets } from '../../src/cli/ssh-targets.ts';
import { unlistedMachine } from '../../src/config/read.ts';
import type { SshTarget } from '../../src/ssh/target.ts';
import { problemOf, sandbox } from '../config/sandbox.ts';
import { hasSshd, type OpenSsh, startOpenSsh } from '../ssh/openssh.ts';
import { createTransport, failure, run } from '../ssh/support.ts';
import { newKey } from '../support/sshd.ts';

const box = sandbox();
const ONLY_A_NAME = '[machine.a]\naddress = web-1\n';

/** A home folder with this `.ssh/config`, and flags that have it read. */
async function withSshConfig(text: string) {
  const file = join(box.home, '.ssh/config');
  await mkdir(join(box.home, '.ssh'), { recursive: true });
  await writeFile(file, text, { mode: 0o600 });
  return { flags: { sshConfig: file } };
}

describe('ssh_config', () => {
  const TEXT = 'Host web-1\nHostName 10.0.0.5\nPort 2222\nUser core\nIdentityFile ~/.ssh/work\n';

  it('says what fleet.conf leaves out', async () => {
    const { machines } = await box.targets(ONLY_A_NAME, await withSshConfig(TEXT));
    expect(machines[0]?.machine.address).toBe('web-1');
    expect(machines[0]?.ssh).toMatchObject({
      name: 'a',
      host: '10.0.0.5',
      port: 2222,
      user: 'core',
      identityFiles: [join(box.home, '.ssh/work')],
      identitiesOnly: false,
    });
    expect(machines[0]?.become).toBe('sudo');
  });

  it('is left to ssh, with every line that only ssh can follow, where transport = openssh says so', async () => {
    const only = `${TEXT}BindInterface lo\nKexAlgorithms mlkem768x25519-sha256\n`;
    await expect(box.targets(ONLY_A_NAME, await withSshConfig(only))).rejects.toMatchObject({
      hint: expect.stringContaining('transport = openssh'),
    });
    const { machines } = await box.targets(`${ONLY_A_NAME}transport = openssh\n`, await withSshConfig(only));
    expect(machines[0]?.ssh).toMatchObject({ alias: 'web-1', host: '10.0.0.5', port: 2222, user: 'core' });
    expect(machines[0]?.ssh.algorithms.kex).toBeUndefined();
  });

  it.each([
    ['[ssh]', '[ssh]\nuser = root\nport = 23\nidentity_file = /k\n', ''],
    ['the machine', '', 'user = root\nport = 23\nidentity_file = /k\n'],
  ])('gives way to %s', async (_, ssh, own) => {
    const { machines } = await box.targets(`${ssh}${ONLY_A_NAME}${own}`, await withSshConfig(TEXT));
    expect(machines[0]?.ssh).toMatchObject({
      user: 'root',
      port: 23,
      identityFiles: ['/k'],
      identitiesOnly: true,
    });
    expect(machines[0]?.become).toBe('none');
  });

  it('is the file that fleet.conf names, relative to itself', async () => {
    await box.write('mine', 'Port 7\n');
    const request = { flags: { sshConfig: undefined } };
    const { machines } = await box.targets(`[ssh]\nssh_config = mine\n${ONLY_A_NAME}`, request);
    expect(machines[0]?.ssh.port).toBe(7);
  });

  it('is read from home by default', async () => {
    await withSshConfig(TEXT);
    const { machines } = await box.targets(ONLY_A_NAME, { flags: { sshConfig: undefined } });
    expect(machines[0]?.ssh.host).toBe('10.0.0.5');
  });

  it('has notes told once', async () => {
    const text = `${ONLY_A_NAME}[machine.b]\naddress = web-2\n`;
    const request = await withSshConfig('Host *\nVerifyHostKeyDNS yes\n');
    const { sshConfigNotes } = await box.targets(text, request);
    expect(sshConfigNotes).toEqual([
      `"${join(box.home, '.ssh/config')}" line 2: "verifyhostkeydns" is ignored`,
    ]);
  });

  it('can lead two names to one machine, which is a mistake', async () => {
    const text = `${ONLY_A_NAME}[machine.b]\naddress = web-2\n`;
    const request = await withSshConfig('Host web-*\nHostName 10.0.0.5\n');
    expect((await problemOf(box.targets(text, request), box.cwd))[0]).toMatch(
      /is already that of machine "a"/,
    );
  });

  it('can lead to one address behind two jump hosts, which is two machines', async () => {
    const text = `${ONLY_A_NAME}[machine.b]\naddress = web-2\n`;
    const ways = 'Host web-1\nProxyJump east\nHost web-2\nProxyJump west\nHost web-*\nHostName 10.0.0.5\n';
    expect((await box.targets(text, await withSshConfig(ways))).machines).toHaveLength(2);
  });
});

it('ssh_config is not looked at before a machine is reached', async () => {
  const mark = join(box.cwd, 'mark');
  const request = await withSshConfig(`Match exec "touch ${mark}"\nPort 7\n`);
  const { machines } = await box.loadText(ONLY_A_NAME, request);
  expect([machines[0]?.settings.port, existsSync(mark)]).toEqual([undefined, false]);
  expect((await box.targets(ONLY_A_NAME, request)).machines[0]?.ssh.port).toBe(7);
  expect(existsSync(mark)).toBe(true);
});

it.each([
  ['core@other:23', {}, { host: 'other', port: 23, user: 'core' }],
  ['other', {}, { host: 'other', port: 22, user: 'ssh' }],
  ['core@fd00::1', { sshUsername: 'flag' }, { host: 'fd00::1', port: 22, user: 'flag' }],
])(
  'a host that is not listed has the settings of [ssh], of flags and its own: %s %j',
  async (text, flags, expected) => {
    const config = await box.loadText(
      `[ssh]\nuser = ssh\nbecome = doas\nknown_hosts_file = known\n${ONLY_A_NAME}`,
      {
        flags,
      },
    );
    const machine = unlistedMachine(text, config, 'registry');
    const { ssh, become } = sshTarget(machine, config, { cwd: box.cwd, home: box.home, env: {} });
    expect(ssh).toMatchObject({ ...expected, userKnownHostsFiles: [join(box.cwd, 'known')] });
    expect(become).toBe('doas');
  },
);

it('a controller waits for a machine no longer than agent_ttl allows', async () => {
  const config = await box.loadText(`agent_ttl = 9s\n${ONLY_A_NAME}connect_timeout = 1s\n`);
  const { machines } = sshTargets(forController(config), { cwd: box.cwd, home: box.home, env: {} });
  expect(machines[0]?.ssh).toMatchObject({ connectTimeoutMs: 1000, keepaliveTimeoutMs: 3600 });
});

describe.skipIf(!hasSshd)('a machine that ssh reaches by its name', () => {
  it('is reached with nothing but that name, and no question', async () => {
    const sshd = await startOpenSsh();
    const target = await load(sshd);
    const known = join(box.home, '.ssh/known_hosts');
    const options = ['StrictHostKeyChecking=accept-new', `UserKnownHostsFile=${known}`, 'BatchMode=yes'];
    const words = options.flatMap((option) => ['-o', option]);
    execFileSync('ssh', ['-F', join(box.home, '.ssh/config'), ...words, 'web-1', 'true'], {
      stdio: 'ignore',
    });
    expect(await execute(target, sshd)).toMatchObject({ exit: { status: 0 }, stdout: 'hello\n' });
    expect(existsSync(join(box.home, '.fleetctl'))).toBe(false);
  });

  it('is refused when its key has changed, even with StrictHostKeyChecking no', async () => {
    const sshd = await startOpenSsh();
    await writeFile(join(sshd.folder, 'known'), `[127.0.0.1]:${sshd.port} ${newKey().public}\n`);
    for (const checking of ['no', 'off', 'accept-new']) {
      const more = `UserKnownHostsFile ${sshd.folder}/known\nStrictHostKeyChecking ${checking}\n`;
      const error = await failure(execute(await load(sshd, more), sshd), 'ssh-host-key');
      expect(error.message).toMatch(/its host key has changed/);
    }
  });

  async function load(sshd: OpenSsh, more = ''): Promise<SshTarget> {
    const where = `HostName 127.0.0.1\nPort ${sshd.port}\nUser ${sshd.user}\nIdentityFile ${sshd.identityFile}\n`;
    const request = await withSshConfig(`Host web-1\n${where}${more}`);
    const target = (await box.targets(ONLY_A_NAME, request)).machines[0]?.ssh;
    if (target === undefined) throw new Error('no machine');
    return target;
  }

  function execute(target: SshTarget, sshd: OpenSsh) {
    const transport = createTransport(sshd.folder);
    onTestFinished(() => transport.close());
    return run(transport, target, 'echo hello');
  }
});
