import { describe, expect, it } from 'vitest';
import { EXPECTED_REGISTRY } from '../../src/config/places.ts';
import { keysOf, type SectionKind } from '../../src/config/settings.ts';
import { problemOf, sandbox } from './sandbox.ts';

const box = sandbox();
const MACHINE = '[machine.a]\naddress = 10.0.0.1\n';
const namesIn = (section: SectionKind): string =>
  keysOf(section)
    .map(({ name }) => name)
    .join(', ');
const TOP_KEYS = namesIn('top');
const SSH_KEYS = namesIn('ssh');
const MACHINE_KEYS = namesIn('machine');
const SECTIONS = 'Sections are [ssh] and [machine.NAME]';
const QUOTES = 'Put the value in double quotes; within them \\ is written \\\\ and " is written \\"';

/** What is wrong, the text of fleet.conf, the exact message after `"fleet.conf" `, the exact hint. */
type Row = readonly [what: string, text: string, message: string, hint?: string];

async function check(text: string, message: string, hint = ''): Promise<void> {
  expect(await problemOf(box.targets(text), box.cwd)).toEqual([`"fleet.conf" ${message}`, hint]);
}

function each(rows: readonly Row[]): void {
  const full = rows.map(([what, text, message, hint = '']) => [what, text, message, hint] as const);
  it.each(full)('%s', (_, text, message, hint) => check(text, message, hint));
}

describe('a line that is not fleet.conf', () => {
  const rows: readonly Row[] = [
    ['a word alone', 'sudo\n', 'line 1 must be "key = value" or a comment: "sudo"'],
    ['a value without a key', ' = x\n', 'line 1 must be "key = value" or a comment: "= x"'],
    [
      'a colon for an equals sign',
      '[ssh]\nuser: core\n',
      'line 2 must be "key = value" or a comment: "user: core"',
    ],
    ['a header that is not closed', '[ssh\n', 'line 1 must be a section such as [ssh]: "[ssh"'],
    ['a header without a name', '\n[ ]\n', 'line 2 must be a section such as [ssh]: "[ ]"'],
    [
      'a header of any length',
      `[${'x'.repeat(9000)}]`,
      `line 1 must be a section such as [ssh]: "[${'x'.repeat(79)}…"`,
    ],
    ['text after a header', '[ssh] x\n', 'line 1 must be a section such as [ssh]: "[ssh] x"'],
    ['a control character', 'a = b\u0000c', 'line 1 has a control character: "a = b\\u0000c"'],
    [
      'a control character in quotes',
      '[ssh]\nuser = "a\\nb"',
      'line 2: "user" in [ssh] has a control character: "a\\nb"',
    ],
  ];
  each(rows);
});

describe('a section that is not known', () => {
  const rows: readonly Row[] = [
    ['a typing error', '[shh]\n', 'line 1: [shh] is not a known section', `Did you mean [ssh]? ${SECTIONS}`],
    [
      'machine without a name',
      '[machine]\n',
      'line 1: [machine] is not a known section',
      `Did you mean [machine.NAME]? ${SECTIONS}`,
    ],
    [
      'the plural',
      '[machines.a.b]\n',
      'line 1: [machines.a.b] is not a known section',
      `Did you mean [machine.a.b]? ${SECTIONS}`,
    ],
    ['a name alone', '[web-1]\n', 'line 1: [web-1] is not a known section', SECTIONS],
    ['a prototype key', '[__proto__]\n', 'line 1: [__proto__] is not a known section', SECTIONS],
    [
      'a machine name with a blank',
      '[machine.web 1]\n',
      'line 1: [machine.web 1] must name a machine with letters, digits, "-", "_" and ".": "web 1"',
    ],
    [
      'a machine name that starts like a flag',
      '[machine.-a]\n',
      'line 1: [machine.-a] must name a machine with letters, digits, "-", "_" and ".": "-a"',
    ],
    [
      'an empty machine name',
      '[machine.]\n',
      'line 1: [machine.] must name a machine with letters, digits, "-", "_" and ".": ""',
    ],
  ];
  each(rows);
});

describe('a key that is not known', () => {
  const rows: readonly Row[] = [
    [
      'a typing error at the top',
      'agent_tll = 30s\n',
      'line 1: "agent_tll" at the top is not a known key: "30s"',
      `Did you mean "agent_ttl"? Keys at the top of the file: ${TOP_KEYS}`,
    ],
    [
      'a typing error in [ssh]',
      '[ssh]\n\nconect_timeout = 5s',
      'line 3: "conect_timeout" in [ssh] is not a known key: "5s"',
      `Did you mean "connect_timeout"? Keys in [ssh]: ${SSH_KEYS}`,
    ],
    [
      'a top-level key after a header',
      '[ssh]\nregistry = file:x',
      'line 2: "registry" in [ssh] is not a known key: "file:x"',
      `"registry" belongs at the top of the file. Keys in [ssh]: ${SSH_KEYS}`,
    ],
    [
      'a key of [ssh] in a machine',
      `${MACHINE}known_hosts_file = x`,
      'line 3: "known_hosts_file" in [machine.a] is not a known key: "x"',
      `"known_hosts_file" belongs in [ssh]. Keys in [machine.a]: ${MACHINE_KEYS}`,
    ],
    [
      'a key of sections at the top',
      'user = core\n',
      'line 1: "user" at the top is not a known key: "core"',
      `"user" belongs in [ssh] or in [machine.NAME]. Keys at the top of the file: ${TOP_KEYS}`,
    ],
    [
      'a list as ini spells it',
      `${MACHINE}metadata[] = a=b`,
      'line 3: "metadata[]" in [machine.a] is not a known key: "a=b"',
      `Did you mean "metadata"? Keys in [machine.a]: ${MACHINE_KEYS}`,
    ],
    [
      'a prototype key',
      '__proto__ = x\n',
      'line 1: "__proto__" at the top is not a known key: "x"',
      `Keys at the top of the file: ${TOP_KEYS}`,
    ],
    [
      'an inherited name',
      'constructor = x\n',
      'line 1: "constructor" at the top is not a known key: "x"',
      `Keys at the top of the file: ${TOP_KEYS}`,
    ],
  ];
  each(rows);
});

describe('something that is there twice', () => {
  const rows: readonly Row[] = [
    [
      'a key',
      '[ssh]\nuser = a\nport = 1\nuser = b\n',
      'line 4: "user" in [ssh] was already given on line 2: "b"',
    ],
    [
      'a key with the same value',
      'settle = 1s\nsettle = 1s\n',
      'line 2: "settle" at the top was already given on line 1: "1s"',
    ],
    [
      '[ssh]',
      '[ssh]\n[machine.a]\n[ssh]\n',
      'line 3: section was already given on line 1: [ssh]',
      'Put all of its keys into one section',
    ],
    [
      'a machine',
      `${MACHINE}[ machine.a ]\n`,
      'line 3: section was already given on line 1: [machine.a]',
      'Put all of its keys into one section',
    ],
    [
      'an address',
      `${MACHINE}[machine.b]\naddress = 10.0.0.1:22\n`,
      'line 4: "address" in [machine.b] is already that of machine "a" on line 2: "10.0.0.1:22"',
    ],
    [
      'an address in two spellings',
      '[machine.a]\naddress = [::1]:2222\n[machine.b]\naddress = 0:0::1\nport = 2222\n',
      'line 4: "address" in [machine.b] is already that of machine "a" on line 2: "0:0::1"',
    ],
    [
      'a host name in two spellings',
      '[machine.a]\naddress = web.example\n[machine.b]\naddress = Web.Example.\n',
      'line 4: "address" in [machine.b] is already that of machine "a" on line 2: "Web.Example."',
    ],
  ];
  each(rows);
});

describe('a value that can be read in more than one way', () => {
  const rows = [
    ['a ; in a word', 'a;b', 'a;b'],
    ['a # in a word', '~/key#2', '~/key#2'],
    ['an escaped ;', 'a\\;b', 'a\\;b'],
    ['two backslashes', 'CORP\\\\alice', 'CORP\\\\alice'],
    ['single quotes', "'core'", "'core'"],
    ['single quotes that a comment opens', "'a ; b'", "'a"],
    ['quotes that are not closed', '"core', '"core'],
    ['quotes that are closed too early', '"a" b', '"a" b'],
    ['quotes around an escape that JSON does not have', '"a\\qb"', '"a\\qb"'],
    ['quotes that a comment opens again', '"a ; "b"', '"a'],
  ] as const;
  it.each(rows)('%s', (_, value, read) =>
    check(
      `[ssh]\nuser = ${value}\n`,
      `line 2: "user" in [ssh] can be read in more than one way: ${JSON.stringify(read)}`,
      QUOTES,
    ),
  );
});

describe('a bad value', () => {
  const rows = [
    ['a registry without a kind', 'top', 'registry = /var/lib/x', EXPECTED_REGISTRY],
    ['a registry without a path', 'top', 'registry = file:', EXPECTED_REGISTRY],
    ['a registry on another host', 'top', 'registry = file://host/x', EXPECTED_REGISTRY],
    ["a registry in another user's home", 'top', 'registry = file:~bob/x', EXPECTED_REGISTRY],
    ['a registry in etcd without a host', 'top', 'registry = etcd:///fleet', EXPECTED_REGISTRY],
    ['a registry in etcd with a bad port', 'top', 'registry = etcd://a:0/fleet', EXPECTED_REGISTRY],
    ['a registry in etcd with one bad host', 'top', 'registry = etcd://a,,b/fleet', EXPECTED_REGISTRY],
    ['a password in the registry', 'top', 'registry = etcd://me@a/fleet', EXPECTED_REGISTRY],
    ['a user of etcd that is empty', 'top', 'etcd_user =', 'an etcd user'],
    ['a duration without a unit', 'top', 'agent_ttl = 30', 'a duration from 1s to 24h, such as 30s'],
    ['a duration in words', 'top', 'agent_ttl = 30 seconds', 'a duration from 1s to 24h, such as 30s'],
    ['a ttl that moves units at once', 'top', 'agent_ttl = 999ms', 'a duration from 1s to 24h, such as 30s'],
    ['a settle that is too long', 'top', 'settle = 61s', 'a duration from 0ms to 1m, such as 500ms'],
    [
      'a timeout that no timer can hold',
      'ssh',
      'connect_timeout = 999999h',
      'a duration from 100ms to 10m, such as 5s',
    ],
    ['no timeout', 'ssh', 'connect_timeout = 0s', 'a duration from 100ms to 10m, such as 5s'],
    ['a negative timeout', 'ssh', 'keepalive_timeout = -1s', 'a duration from 1s to 1h, such as 15s'],
    ['a boolean in another language', 'ssh', 'sudo = yes', 'true or false'],
    ['an empty boolean', 'ssh', 'sudo =', 'true or false'],
    ['another way to root', 'ssh', 'become = su', 'sudo, doas or none'],
    ['no command', 'ssh', 'become_password_command =', 'a command'],
    ['an empty user', 'ssh', 'user =', 'a user name'],
    ['a user that is only a comment', 'ssh', 'user = ; me', 'a user name'],
    ['a user with a blank', 'ssh', 'user = two words', 'a user name'],
    ['a user in the form of a flag', 'ssh', 'user = -oProxyCommand=x', 'a user name'],
    ['port 0', 'ssh', 'port = 0', 'a port from 1 to 65535'],
    ['a port that is too high', 'ssh', 'port = 65536', 'a port from 1 to 65535'],
    ['a port with a fraction', 'ssh', 'port = 22.5', 'a port from 1 to 65535'],
    ['an empty path', 'ssh', 'identity_file =', 'a path'],
    [
      "a path in another user's home",
      'ssh',
      'identity_file = ~bob/key',
      'a path (only your own home folder can be written as ~)',
    ],
    [
      "known hosts in another user's home",
      'ssh',
      'known_hosts_file = ~bob/key',
      'a path (only your own home folder can be written as ~)',
    ],
    [
      'no host key checking',
      'ssh',
      'strict_host_key_checking = no',
      'ask, yes or accept-new (host keys are always verified)',
    ],
    [
      'another kind of host key checking',
      'ssh',
      'strict_host_key_checking = maybe',
      'ask, yes or accept-new',
    ],
    [
      'a metadata word',
      'machine',
      'metadata = a=b,ssd',
      'pairs such as region=eu,disk=ssd (key=value, not "ssd")',
    ],
    [
      'a metadata key twice',
      'machine',
      'metadata = a=b,a=c',
      'pairs such as region=eu,disk=ssd (every key once, not "a=c")',
    ],
    ['a machine with a bad key of [ssh]', 'machine', 'sudo = 1', 'true or false'],
  ] as const;
  it.each(rows)('%s', async (_, place, setting, expected) => {
    const text =
      place === 'top'
        ? `${setting}\n${MACHINE}`
        : place === 'ssh'
          ? `[ssh]\n${setting}\n${MACHINE}`
          : MACHINE + setting;
    const line = { top: 1, ssh: 2, machine: 3 }[place];
    const [key = '', ...rest] = setting.split('=');
    const value = rest.join('=').replace(/;.*/, '').trim();
    const where = { top: 'at the top', ssh: 'in [ssh]', machine: 'in [machine.a]' }[place];
    await check(text, `line ${line}: "${key.trim()}" ${where} must be ${expected}: "${value}"`);
  });
});

describe('an address', () => {
  const addresses = [
    'user@host',
    'ssh://host',
    'host:',
    'host:0',
    'host:65536',
    'host:ssh',
    'a b',
    '10.0.0.256',
    '10.0.0',
    '::1:',
    '[::1',
    '[::1]22',
    '[host]:22',
    'hôte',
    '-a',
    'a..b',
    'a/b',
    '1:2:3',
    `${'a'.repeat(64)}`,
  ];
  it.each(addresses)('is not %s', (address) =>
    check(
      `[machine.a]\naddress = ${address}\n`,
      `line 2: "address" in [machine.a] must be host, host:port or [IPv6]:port: ${JSON.stringify(address)}`,
    ),
  );

  it('cannot be left out', () =>
    check(
      `${MACHINE}\n[machine.b] ; new\nuser = core\n`,
      'line 4: [machine.b] has no "address", which must be host, host:port or [IPv6]:port',
    ));

  it('cannot name another port than the section does', () =>
    check(
      '[machine.a]\naddress = a:2222\nport = 22\n',
      'line 3: "port" in [machine.a] differs from the port in "address": "22"',
    ));
});

describe('the rest', () => {
  it.each(['', '\n; nothing\n', '[ssh]\nuser = core\n'])('a file without machines: %j', async (text) => {
    expect(await problemOf(box.loadText(text), box.cwd)).toEqual([
      'no machines in the configuration "fleet.conf"',
      'Add one, such as:\n[machine.web-1]\naddress = 10.10.1.1',
    ]);
  });

  it('names the first of several mistakes in a section', () =>
    check(
      '[ssh]\nport = 22\nusr = x\nsudo = 2\n[machine.a]\n',
      'line 3: "usr" in [ssh] is not a known key: "x"',
      `Did you mean "user"? Keys in [ssh]: ${SSH_KEYS}`,
    ));

  it('cuts a very long value', async () => {
    const [message] = await problemOf(box.loadText(`[ssh]\nuser = ${'x '.repeat(400_000)}y`), box.cwd);
    expect(message).toBe(`"fleet.conf" line 2: "user" in [ssh] must be a user name: "${'x '.repeat(40)}…"`);
  });

  it('survives quotes around almost a megabyte', async () => {
    const user = 'x'.repeat(1_000_000);
    const config = await box.loadText(`[ssh]\nuser = "${user}" ; long\n${MACHINE}`);
    expect(config.machines[0]?.settings.user).toBe(user);
  });
});
