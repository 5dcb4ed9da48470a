import { pick } from '../support/random.ts';

/** A configuration, the files beside it, and the hosts to ask about; `@/` is the folder they are in. */
export type Case = {
  readonly text: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly hosts: readonly string[];
};

const HOSTS = ['web-1', 'web-2.example', 'db', '10.0.0.5', 'WEB-1'];
const PATTERNS = [...HOSTS, '*', 'web-*', '?b', '!db', '!web-?', '*.example', '10.0.*', '"web-1"'];
const USERS = ['core', 'root', 'alice', '"bob"'];

const OPTIONS: readonly ((random: () => number) => string)[] = [
  (r) => `HostName ${pick(r, ['10.0.0.9', '%h.internal', 'FOO.Example', 'fd00::0001', '%%h', 'a.%h.b'])}`,
  (r) => `User ${pick(r, USERS)}`,
  (r) => `Port ${pick(r, ['22', '2222', '"33"', '65535'])}`,
  (r) => `IdentityFile ${pick(r, ['~/.ssh/a', '/k/%h', '"~/with blank"', 'none', '~/.ssh/b'])}`,
  (r) => `CertificateFile ${pick(r, ['~/.ssh/a-cert.pub', '/c'])}`,
  (r) => `IdentitiesOnly ${pick(r, ['yes', 'NO', 'true'])}`,
  (r) => `IdentityAgent ${pick(r, ['none', 'SSH_AUTH_SOCK', '$SSH_AUTH_SOCK', '~/agent-%h', '/a/%r-%p'])}`,
  (r) => `ProxyJump ${pick(r, ['none', 'bastion', 'u@b:2222', 'a,b,c', 'ssh://x@b:5', '%h-gw'])}`,
  (r) => `ProxyCommand ${pick(r, ['none', 'nc %h %p', 'ssh "a b" -W %h:%p # no comment'])}`,
  (r) =>
    `UserKnownHostsFile ${pick(r, ['~/.ssh/k', '/k/%h-%p-%r /l', '"/a b" /c', '%d/%u/%n/%k/%C/%L/%l/%i'])}`,
  (r) => `GlobalKnownHostsFile ${pick(r, ['/g', '/g /h'])}`,
  (r) => `StrictHostKeyChecking ${pick(r, ['yes', 'no', 'off', 'ask', 'accept-new', 'Ask', 'false'])}`,
  (r) => `HostKeyAlias ${pick(r, ['Alias', 'other'])}`,
  (r) => `HashKnownHosts ${pick(r, ['yes', 'no'])}`,
  (r) => `ConnectTimeout ${pick(r, ['5', '1m', '1m30s', 'none', '2H'])}`,
  (r) => `ServerAliveInterval ${pick(r, ['15', '0', '1m'])}`,
  (r) => `ServerAliveCountMax ${pick(r, ['1', '9'])}`,
  (r) => `Ciphers ${pick(r, ['aes128-ctr', '+aes256-cbc', '-aes*', '^aes256-ctr', 'aes256-ctr,aes128-ctr'])}`,
  (r) => `MACs ${pick(r, ['hmac-sha2-256', '-*-etm@openssh.com', '^hmac-sha2-512', '+hmac-md5'])}`,
  (r) =>
    `KexAlgorithms ${pick(r, ['curve25519-sha256', '-*sha1,*nistp*', '+diffie-hellman-group1-sha1', '^ecdh-sha2-nistp256'])}`,
  (r) => `HostKeyAlgorithms ${pick(r, ['ssh-ed25519', '+ssh-rsa', '-*cert*', '^rsa-sha2-512', 'rsa*'])}`,
  (r) => `AddressFamily ${pick(r, ['any', 'inet', 'inet6'])}`,
  (r) => `BindAddress ${pick(r, ['10.0.0.1', '::1'])}`,
  (r) => `Compression ${pick(r, ['yes', 'no'])}`,
  (r) => `ForwardAgent ${pick(r, ['yes', 'no', 'True'])}`,
  (r) => `SetEnv ${pick(r, ['A=1', 'A=1 "B=2 3"', 'C="x y"'])}`,
  (r) => `SendEnv ${pick(r, ['LANG LC_*', 'X', '-LC_*', '-*'])}`,
  (r) => `PubkeyAuthentication ${pick(r, ['yes', 'no', 'host-bound'])}`,
  (r) => `PasswordAuthentication ${pick(r, ['yes', 'no'])}`,
  (r) => `${pick(r, ['KbdInteractiveAuthentication', 'ChallengeResponseAuthentication'])} no`,
  (r) => `PreferredAuthentications ${pick(r, ['publickey', 'password,publickey'])}`,
  (r) => `NumberOfPasswordPrompts ${pick(r, ['1', '7'])}`,
  (r) => `ConnectionAttempts ${pick(r, ['1', '4'])}`,
  (r) => pick(r, ['LogLevel INFO', 'ControlPath ~/.ssh/c-%h', 'RequestTTY no', 'LocalForward 80 a:80']),
];

const CONDITIONS: readonly ((random: () => number) => string)[] = [
  (r) => `host ${pick(r, ['web-*', '10.0.0.9', '*.internal', '!db,*', 'foo.example', '"web-1,db"'])}`,
  (r) => `originalhost ${pick(r, ['web-1', 'WEB-*', '!db,*'])}`,
  (r) => `user ${pick(r, ['core', 'root', '!alice,*'])}`,
  (r) => `localuser ${pick(r, ['root', 'nobody', '*'])}`,
  (r) => `exec ${pick(r, ['true', 'false', '"test %h = web-1"', '"test %p = 22"'])}`,
  () => 'final',
];

/** A configuration of Host and Match blocks, includes, and lines in many spellings. */
export function randomCase(random: () => number): Case {
  const files = Object.fromEntries(
    ['inc/a.conf', 'inc/b.conf'].map((name) => [name, randomText(random, 2, false)]),
  );
  return { text: randomText(random, 4, true), files, hosts: [pick(random, HOSTS)] };
}

function randomText(random: () => number, blocks: number, includes: boolean): string {
  const lines = randomLines(random, includes);
  for (let block = Math.floor(random() * (blocks + 1)); block > 0; block--)
    lines.push(randomHead(random), ...randomLines(random, includes));
  return `${lines.join('\n')}\n`;
}

function randomHead(random: () => number): string {
  if (random() < 0.6)
    return spell(random, `Host ${times(random, 3, () => pick(random, PATTERNS)).join(' ')}`);
  if (random() < 0.1) return 'Match all';
  const conditions = times(
    random,
    2,
    () => `${random() < 0.2 ? '!' : ''}${pick(random, CONDITIONS)(random)}`,
  );
  return `Match ${conditions.join(' ')}`;
}

function randomLines(random: () => number, includes: boolean): string[] {
  const lines = times(random, 5, () => spell(random, pick(random, OPTIONS)(random)));
  if (includes && random() < 0.3)
    lines.push(`Include ${pick(random, ['@/inc/*.conf', '@/inc/a.conf', '@/none/*'])}`);
  if (random() < 0.02) lines.push(pick(random, ['Bogus yes', 'Port none', 'User "open', 'Port', 'User a b']));
  if (random() < 0.1) lines.push(pick(random, ['# a comment', '', '   ', '\t# another']));
  return lines;
}

/** The same line in one of the ways to write it. */
function spell(random: () => number, line: string): string {
  const [, name = '', rest = ''] = /^(\S+) (.*)$/.exec(line) ?? [];
  const keyword = pick(random, [name, name.toLowerCase(), name.toUpperCase()]);
  const between = pick(random, [' ', '\t', '=', ' = ', '  ']);
  return `${pick(random, ['', '  ', '\t'])}${keyword}${between}${rest}${pick(random, ['', ' ', '\r'])}`;
}

/** Between one and `most`. */
function times<T>(random: () => number, most: number, make: () => T): T[] {
  return Array.from({ length: 1 + Math.floor(random() * most) }, make);
}
