import { expect, it } from 'vitest';
import { sshTargets } from '../../src/cli/ssh-targets.ts';
import { originOf } from '../../src/config/config.ts';
import { parseSections } from '../../src/config/parse.ts';
import { formatRegistryPlace, parseRegistryPlace } from '../../src/config/places.ts';
import { readConfig } from '../../src/config/read.ts';
import { keysOf } from '../../src/config/settings.ts';
import { controllerConf, isUntouched } from '../../src/install/controller-conf.ts';

const REQUEST = { flags: { sshConfig: 'none' }, env: { USER: 'me' }, cwd: '/cwd', home: '/home/me' };
const read = (file: string, text: string) => {
  const config = readConfig(file, parseSections(file, text), REQUEST);
  return { ...config, ...sshTargets(config, REQUEST) };
};

it('says what the fleet.conf says, with the key and the host keys of the controller', () => {
  const config = read(
    '/home/me/fleet.conf',
    `registry = etcds://e1:2379,[2001:db8::1]:4000/mine
agent_ttl = 20s
cut_off = 40%
etcd_ca_file = ca.pem
etcd_user = "a b"
etcd_password_file = /p
listen = unix:sock, 10.0.0.1:4000
listen_read_only = unix:r, 10.0.0.1:4001
listen_names = a.lan, b
listen_cert_file = c.pem
listen_key_file = k.pem
[ssh]
user = core
identity_file = mine
connect_timeout = 2s
[machine.a]
address = 10.0.0.1
metadata = z=1,a=2
[machine.b]
address = [2001:db8::2]:2222
become = doas
transport = openssh
[machine.c]
address = c.example
user = root
[machine.d]
address = d.example
connect_to = 10.0.0.4:2222
`,
  );
  const { text, files } = controllerConf(config, config.registry);
  expect(files.map(({ key, from }) => `${key} ${from}`)).toEqual([
    'listen_cert_file /home/me/c.pem',
    'listen_key_file /home/me/k.pem',
    'etcd_ca_file /home/me/ca.pem',
    'etcd_password_file /p',
  ]);
  const made = read('/etc/fleet/controller.conf', text);
  expect(originOf(made)).toBe(originOf(config));
  expect(made.machines.map(({ machine }) => machine)).toEqual(config.machines.map(({ machine }) => machine));
  expect(made).toMatchObject({
    agent_ttl: 20_000,
    cut_off: 0.4,
    etcd_user: 'a b',
    etcd_ca_file: '/etc/fleet/controller.d/etcd_ca_file',
  });
  expect(made.listen).toEqual([{ kind: 'unix', path: '/run/fleet.sock' }, config.listen[1]]);
  expect(made.listen_read_only).toEqual([config.listen_read_only[1]]);
  expect(made.listen_names).toEqual(['a.lan', 'b']);
  for (const [index, { ssh, become }] of made.machines.entries()) {
    const wanted = config.machines[index];
    expect({
      become,
      user: ssh.user,
      port: ssh.port,
      host: ssh.host,
      transport: ssh.transport,
      ms: ssh.connectTimeoutMs,
    }).toEqual({
      become: wanted?.become,
      user: wanted?.ssh.user,
      port: wanted?.ssh.port,
      host: wanted?.ssh.host,
      transport: wanted?.ssh.transport,
      ms: 2_000,
    });
    expect(ssh).toMatchObject({
      identityFiles: ['/etc/fleet/controller_ed25519'],
      userKnownHostsFiles: ['/etc/fleet/controller_known_hosts'],
    });
  }
});

it('has every setting of a machine, or leaves it to the controller for a reason', () => {
  const LEFT = {
    port: 'It is part of the address.',
    identity_file: 'The controller has its own key.',
    sudo: 'become replaces it.',
    strict_host_key_checking: 'The host keys are installed, and there is no user to ask.',
  };
  const conf = `[machine.a]
address = a.example
connect_to = 10.0.0.1
metadata = a=1
voter = no
user = core
become = doas
become_password_command = true
transport = openssh
`;
  const config = read('/fleet.conf', conf);
  const { text } = controllerConf(config, config.registry);
  const [, section = ''] = text.split('[machine.a]');
  const written = [...section.matchAll(/^(\w+) =/gm)].map(([, key]) => key);
  const keys = keysOf('machine').map(({ name }) => name);
  expect([...written, ...Object.keys(LEFT)].toSorted()).toEqual(keys.toSorted());
});

it('tells whether it was changed', () => {
  const { text } = controllerConf(read('/f', '[machine.a]\naddress = 10.0.0.1\n'), {
    kind: 'file',
    directory: '/r',
  });
  expect(
    [text, `${text} `, text.replace('10.0.0.1', '10.0.0.2'), '[machine.a]\n', ''].map(isUntouched),
  ).toEqual([true, false, false, undefined, undefined]);
});

it.each([
  'file:/a b/c',
  'ssh://web-1/var/lib/fleet-controller/registry',
  'ssh://core@control:2222/r',
  'etcd://10.0.0.1:2379/fleet',
  'etcds://a:1,[2001:db8::1]:2/x/y',
])('writes a place of a registry as it is read: %s', (text) => {
  const place = parseRegistryPlace(text, { directory: '/cwd', home: '/home' });
  if (place === undefined) throw new Error('it cannot be read');
  expect(formatRegistryPlace(place)).toBe(text);
});

it.each([
  'ssh://',
  'ssh://web-1',
  'ssh:///path',
  'ssh://-oProxyCommand=x/path',
  'ssh://a b/path',
  'ssh:web-1/path',
])('takes no place of a registry that leads nowhere: %s', (text) =>
  expect(parseRegistryPlace(text, { directory: '/cwd', home: '/home' })).toBeUndefined(),
);
