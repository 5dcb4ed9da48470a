import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatDuration } from '../../src/base/time.ts';
import { parseSections } from '../../src/config/parse.ts';
import { readConfig } from '../../src/config/read.ts';
import { keysOf } from '../../src/config/settings.ts';
import { TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import { sandbox } from './sandbox.ts';

const box = sandbox();
const MACHINE = '[machine.a]\naddress = 10.0.0.1\n';

describe('defaults', () => {
  const env = { USER: 'alice' };

  it('are what the documentation says', async () => {
    const override = { ssh_config: 'none' };
    expect(await box.loadText(MACHINE, { env })).toEqual({
      file: join(box.cwd, 'fleet.conf'),
      registry: { kind: 'file', directory: join(box.cwd, 'registry') },
      listen: [{ kind: 'unix', path: join(box.cwd, 'fleet.sock') }],
      listen_read_only: [],
      listen_insecure: false,
      agent_ttl: 30_000,
      cut_off: 0.5,
      settle: 500,
      verbose: false,
      askBecomePass: false,
      ssh: override,
      override,
      machines: [
        {
          machine: { name: 'a', address: '10.0.0.1', metadata: undefined },
          host: '10.0.0.1',
          isLocal: false,
          settings: { ssh_config: 'none' },
          written: expect.objectContaining({ key: 'address', value: '10.0.0.1', line: 2 }),
        },
      ],
    });
  });

  it('of a connection are those of the table of settings', async () => {
    const { machines } = await box.targets(MACHINE, { env });
    const { become, ssh } = machines[0] ?? {};
    const used = {
      become,
      strict_host_key_checking: ssh?.strictHostKeyChecking,
      transport: ssh?.transport,
      connect_timeout: formatDuration(ssh?.connectTimeoutMs ?? 0),
      keepalive_timeout: formatDuration(ssh?.keepaliveTimeoutMs ?? 0),
    };
    const named = keysOf('ssh').flatMap((key) =>
      key.default === undefined ? [] : [[key.name, key.default]],
    );
    expect(used).toEqual(Object.fromEntries(named));
  });

  it('of a connection are what the documentation says', async () => {
    expect((await box.targets(MACHINE, { env })).machines[0]?.ssh).toEqual({
      name: 'a',
      alias: '10.0.0.1',
      host: '10.0.0.1',
      port: 22,
      user: 'alice',
      via: { kind: 'direct' },
      transport: 'ssh2',
      identityFiles: [],
      identitiesOnly: false,
      identityAgent: undefined,
      certificateFiles: [],
      preferredAuthentications: ['publickey'],
      passwordAuthentication: false,
      numberOfPasswordPrompts: 3,
      batchMode: false,
      strictHostKeyChecking: 'ask',
      userKnownHostsFiles: [
        join(box.home, '.fleetctl/known_hosts'),
        join(box.home, '.ssh/known_hosts'),
        join(box.home, '.ssh/known_hosts2'),
      ],
      globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
      hostKeyAlias: undefined,
      hashKnownHosts: false,
      algorithms: { kex: undefined, ciphers: undefined, macs: undefined, hostKeys: undefined },
      addressFamily: 'any',
      bindAddress: undefined,
      compression: false,
      connectTimeoutMs: 5000,
      keepaliveTimeoutMs: 15_000,
      forwardAgent: false,
      environment: {},
    });
  });

  it.each([
    ['USER first', { USER: 'alice', LOGNAME: 'bob' }, 'alice'],
    ['then LOGNAME', { USER: '', LOGNAME: 'bob' }, 'bob'],
    ['then root', {}, 'root'],
    ['nothing that is no user name', { USER: 'a b', LOGNAME: '-x' }, 'root'],
  ])('take the local user: %s', async (_, env, user) => {
    expect((await box.targets(MACHINE, { env })).machines[0]?.ssh.user).toBe(user);
  });

  it('keep the registry of the system configuration under /var/lib', () => {
    const file = '/etc/fleet/fleet.conf';
    const request = { flags: {}, env: {}, cwd: '/', home: '/root' };
    const read = (text: string) => readConfig(file, parseSections(file, text), request).registry;
    expect(read(MACHINE)).toEqual({ kind: 'file', directory: '/var/lib/fleet/registry' });
    expect(read(`registry = file:here\n${MACHINE}`)).toEqual({ kind: 'file', directory: '/etc/fleet/here' });
  });
});

it('reads everything that a file can say', async () => {
  const config = await box.targets(`; fleet.conf
registry  = file:state/registry   ; relative to this file
agent_ttl = 2m                    # how long a machine may be silent
settle = 0ms

[ssh]                             ; defaults for every machine
user             = core
identity_file    = ~/.ssh/id_ed25519
known_hosts_file = hosts
connect_timeout  = 1500ms
port             = 2200

[machine.web-1]                   ; the name people use
address  = 10.10.1.1
metadata = region=eu,disk=ssd

[machine.db.example_2]
address = db.example:22
metadata = "note=a;b#c"
user = root
identity_file = /keys/db
sudo = true
strict_host_key_checking = accept-new
connect_timeout = 9s
keepalive_timeout = 1m
`);
  expect(config.registry).toEqual({ kind: 'file', directory: join(box.cwd, 'state/registry') });
  expect([config.agent_ttl, config.settle]).toEqual([120_000, 0]);
  expect(config.machines).toMatchObject([
    {
      machine: { name: 'web-1', address: '10.10.1.1', metadata: { region: 'eu', disk: 'ssd' } },
      ssh: {
        ...TARGET_DEFAULTS,
        globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
        name: 'web-1',
        alias: '10.10.1.1',
        host: '10.10.1.1',
        port: 2200,
        user: 'core',
        identityFiles: [join(box.home, '.ssh/id_ed25519')],
        identitiesOnly: true,
        userKnownHostsFiles: [join(box.cwd, 'hosts')],
        strictHostKeyChecking: 'ask',
        connectTimeoutMs: 1500,
        keepaliveTimeoutMs: 15_000,
      },
      become: 'sudo',
    },
    {
      machine: { name: 'db.example_2', address: 'db.example:22', metadata: { note: 'a;b#c' } },
      ssh: {
        ...TARGET_DEFAULTS,
        globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
        name: 'db.example_2',
        alias: 'db.example',
        host: 'db.example',
        port: 22,
        user: 'root',
        identityFiles: ['/keys/db'],
        identitiesOnly: true,
        userKnownHostsFiles: [join(box.cwd, 'hosts')],
        strictHostKeyChecking: 'accept-new',
        connectTimeoutMs: 9000,
        keepaliveTimeoutMs: 60_000,
      },
      become: 'none',
    },
  ]);
});

describe('machines', () => {
  it('stay in file order, also with names that are numbers or share a part', async () => {
    const names = ['web.b', '10', 'web', 'web.a', '2', 'web.a.b', 'constructor'];
    const text = names.map((name, i) => `[machine.${name}]\naddress = 10.0.0.${i}`).join('\n');
    const config = await box.loadText(text);
    expect(config.machines.map(({ machine }) => machine.name)).toEqual(names);
  });

  it.each([
    ['a host takes the common port and does not show it', 'address = a', 'a', 'a', 2200],
    ['a port in the address is shown', 'address = a:22', 'a:22', 'a', 22],
    ['a non-default port is shown', 'address = a\nport = 23', 'a:23', 'a', 23],
    ['a port may be said twice', 'address = a:23\nport = 23', 'a:23', 'a', 23],
    ['IPv6 in brackets', 'address = [fd00::1]', 'fd00::1', 'fd00::1', 2200],
    ['IPv6 alone', 'address = fd00::1', 'fd00::1', 'fd00::1', 2200],
    ['IPv6 with a port', 'address = [fd00::1]:23', '[fd00::1]:23', 'fd00::1', 23],
    ['IPv6 with a zone', 'address = [fe80::1%eth0]:23', '[fe80::1%eth0]:23', 'fe80::1%eth0', 23],
  ])('%s', async (_, text, shown, host, port) => {
    const config = await box.targets(`[ssh]\nport = 2200\n[machine.a]\n${text}\n`);
    expect(config.machines[0]?.machine.address).toBe(shown);
    expect(config.machines[0]?.ssh).toMatchObject({ host, port });
  });

  it('may share a host on two ports, and show different addresses', async () => {
    const config = await box.loadText('[machine.a]\naddress = h\n[machine.b]\naddress = h\nport = 23\n');
    expect(config.machines.map(({ machine }) => machine.address)).toEqual(['h', 'h:23']);
  });

  it.each([
    ['the user is root', 'user = root\nbecome = doas', '', 'none'],
    ['sudo is off', 'user = core\nsudo = false', '', 'none'],
    ['the user is not root', 'user = core', '', 'sudo'],
    ['the machine has another way', 'user = core\nsudo = false', 'become = doas', 'doas'],
    ['the machine has its own old spelling', 'user = core\nbecome = doas', 'sudo = true', 'sudo'],
  ])('become root when %s', async (_, ssh, own, become) => {
    const config = await box.targets(`[ssh]\n${ssh}\n${MACHINE}${own}\n`);
    expect(config.machines[0]?.become).toBe(become);
  });

  it('may have commands that print their passwords', async () => {
    const text = `[ssh]\nbecome_password_command = pass a\n${MACHINE}become_password_command = "pass b; true"`;
    const config = await box.loadText(`${text}\n[machine.other]\naddress = other`);
    expect(config.machines.map(({ settings }) => settings.become_password_command)).toEqual([
      'pass b; true',
      'pass a',
    ]);
  });

  it.each([
    [{}, {}, false],
    [{ askBecomePass: true }, {}, true],
    [{}, { FLEETCTL_ASK_BECOME_PASS: 'true' }, true],
    [{}, { FLEETCTL_ASK_BECOME_PASS: '' }, false],
  ])('ask for the password with flags %j and variables %j: %j', async (flags, env, asks) => {
    expect((await box.loadText(MACHINE, { flags, env })).askBecomePass).toBe(asks);
  });
});

describe('flags and environment', () => {
  const layers = {
    ssh: '[ssh]\nuser = ssh\nidentity_file = ssh\nconnect_timeout = 1s\nstrict_host_key_checking = ask\nknown_hosts_file = ssh\n',
    machine:
      'user = machine\nidentity_file = machine\nconnect_timeout = 2s\nstrict_host_key_checking = accept-new\n',
    env: {
      FLEETCTL_SSH_USERNAME: 'env',
      FLEETCTL_SSH_IDENTITY_FILE: 'env',
      FLEETCTL_SSH_TIMEOUT: '3s',
      FLEETCTL_STRICT_HOST_KEY_CHECKING: 'ask',
      FLEETCTL_KNOWN_HOSTS_FILE: 'env',
    },
    flags: {
      sshUsername: 'flag',
      sshIdentityFile: 'flag',
      sshTimeout: '4s',
      strictHostKeyChecking: 'accept-new',
      knownHostsFile: 'flag',
    },
  };
  const empty = Object.fromEntries(Object.keys(layers.env).map((name) => [name, '']));

  it.each([
    ['[ssh] beats the default', '', {}, {}, ['ssh', 'conf/ssh', 1000, 'ask', 'conf/ssh']],
    [
      'a machine beats [ssh]',
      layers.machine,
      {},
      {},
      ['machine', 'conf/machine', 2000, 'accept-new', 'conf/ssh'],
    ],
    ['a variable beats a machine', layers.machine, layers.env, {}, ['env', 'env', 3000, 'ask', 'env']],
    [
      'a flag beats a variable',
      layers.machine,
      layers.env,
      layers.flags,
      ['flag', 'flag', 4000, 'accept-new', 'flag'],
    ],
    [
      'an empty variable is none',
      layers.machine,
      empty,
      {},
      ['machine', 'conf/machine', 2000, 'accept-new', 'conf/ssh'],
    ],
    [
      'an undefined flag is none',
      '',
      {},
      { sshUsername: undefined },
      ['ssh', 'conf/ssh', 1000, 'ask', 'conf/ssh'],
    ],
  ])('%s', async (_, machine, env, flags, expected) => {
    await box.write('conf/fleet.conf', `${layers.ssh}${MACHINE}${machine}`);
    const config = await box.targets(undefined, { env, flags: { ...flags, config: 'conf/fleet.conf' } });
    const ssh = config.machines[0]?.ssh;
    const [user, identity, timeout, strict, hosts] = expected;
    expect([
      ssh?.user,
      ssh?.identityFiles[0],
      ssh?.connectTimeoutMs,
      ssh?.strictHostKeyChecking,
      ssh?.userKnownHostsFiles[0],
    ]).toEqual([user, join(box.cwd, String(identity)), timeout, strict, join(box.cwd, String(hosts))]);
  });

  it('a home folder is expanded in them, too', async () => {
    const flags = { sshIdentityFile: '~/key', knownHostsFile: '~' };
    const config = await box.targets(MACHINE, { flags });
    expect(config.machines[0]?.ssh.identityFiles).toEqual([join(box.home, 'key')]);
    expect(config.machines[0]?.ssh.userKnownHostsFiles).toEqual([box.home]);
  });
});

describe('paths', () => {
  it.each([
    ['relative to the file', 'file:../r', '../r'],
    ['absolute', 'file:/r', '/r'],
    ['absolute as in a URL', 'file:///r', '/r'],
    ['in the home folder', 'file:~/r', '../../home/r'],
    ['with blanks', 'file:my registry', 'my registry'],
    ['in quotes', '"file:a # b"', 'a # b'],
    ['a name that starts with ~', 'file:./~r', '~r'],
  ])('%s', async (_, value, path) => {
    await box.write('deep/fleet.conf', `registry = ${value}\n${MACHINE}`);
    const config = await box.load({ flags: { config: 'deep/fleet.conf' } });
    const expected = join(path.startsWith('/') ? '/' : join(box.cwd, 'deep'), path);
    expect(config.registry).toEqual({ kind: 'file', directory: expected });
  });
});

describe('text', () => {
  const lines = ['[ssh]', 'user = core', '[machine.a]', 'address = 10.0.0.1', ''];
  it.each([
    ['LF', lines.join('\n')],
    ['CRLF', lines.join('\r\n')],
    ['CR', lines.join('\r')],
    ['a byte order mark', `\uFEFF${lines.join('\n')}`],
    ['no last line end', lines.join('\n').trimEnd()],
    ['indented lines and tabs', lines.map((line) => ` \t${line.replaceAll(' ', '\t')}\t `).join('\n')],
  ])('with %s', async (_, text) => {
    expect((await box.targets(text)).machines[0]?.ssh).toMatchObject({ user: 'core', host: '10.0.0.1' });
  });

  it('counts lines over CRLF as editors do', async () => {
    await expect(box.loadText('\r\n\r\n[ssh]\r\nx = 1\r\n')).rejects.toThrow('line 4:');
  });
});

it('freezes everything', async () => {
  const config = await box.loadText(`${MACHINE}metadata = a=b\n`);
  const machine = config.machines[0];
  const parts = [
    config,
    config.registry,
    config.machines,
    machine,
    machine?.machine,
    machine?.machine.metadata,
    machine?.settings,
  ];
  expect(parts.map(Object.isFrozen)).toEqual(parts.map(() => true));
});
