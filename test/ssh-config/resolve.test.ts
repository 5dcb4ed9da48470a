import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import { type SshTarget, TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import { type Lookup, SshConfigResolver } from '../../src/ssh-config/resolve.ts';

const BASE = {
  ...TARGET_DEFAULTS,
  user: 'me',
  identityAgent: '/agent',
  userKnownHostsFiles: ['/fleet', '/ssh'],
};

/** What a home with these files says about hosts. Paths in messages are shown below HOME. */
async function homeWith(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
  const home = await mkdtemp(join(tmpdir(), 'fleet-home-'));
  onTestFinished(() => rm(home, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, '.ssh', name)), { recursive: true });
    await writeFile(join(home, '.ssh', name), text, { mode: 0o600 });
  }
  const facts = { cwd: '/cwd', home, env, user: 'me', uid: 1000, hostName: 'desk.example' };
  const resolver = new SshConfigResolver({ kind: 'file', path: join(home, '.ssh/config') }, facts);
  const lookUp = (host: string, more: Partial<Lookup> = {}) =>
    resolver.resolve({ host, user: undefined, port: undefined, base: BASE, always: {}, ...more });
  return {
    home,
    notes: (host: string) => lookUp(host).notes.map((note) => note.replaceAll(home, 'HOME')),
    target: (host: string, more: Partial<Lookup> = {}): SshTarget => lookUp(host, more).target,
    problem(host: string): readonly [string, string | undefined] {
      try {
        lookUp(host);
      } catch (error) {
        if (!isFleetError(error, 'config')) throw error;
        return [error.message.replaceAll(home, 'HOME'), error.hint];
      }
      throw new Error('nothing was wrong');
    },
  };
}

const config = (text: string, env?: Readonly<Record<string, string>>) => homeWith({ config: text }, env);

describe('a target', () => {
  it('is the base where nothing is said', async () => {
    const { target } = await config('');
    expect(target('Web-1')).toEqual({ ...BASE, name: 'Web-1', alias: 'Web-1', host: 'web-1' });
  });

  it('is everything that is said', async () => {
    const { target, home } = await config(
      `Host web-1
  HostName %h.example
  User core
  Port 2222
  IdentityFile ~/.ssh/%n
  IdentityFile relative
  CertificateFile /c
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications password,gssapi-with-mic,publickey
  KbdInteractiveAuthentication no
  NumberOfPasswordPrompts 1
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ~/a /b
  GlobalKnownHostsFile none
  HostKeyAlias Alias
  HashKnownHosts yes
  KexAlgorithms curve25519-sha256,sntrup761x25519-sha512
  Ciphers -aes*
  MACs ^hmac-sha2-512
  HostKeyAlgorithms ssh-ed25519
  AddressFamily inet6
  BindAddress ::1
  Compression yes
  ConnectTimeout 7
  ServerAliveInterval 10
  ServerAliveCountMax 2
  ForwardAgent yes
  SetEnv A=1 B=2
  SendEnv LC_* A
`,
      { LC_ALL: 'C', HOME: '/x', A: 'mine' },
    );
    expect(target('web-1')).toEqual({
      ...BASE,
      name: 'web-1',
      alias: 'web-1',
      host: 'web-1.example',
      port: 2222,
      user: 'core',
      identityFiles: [`${home}/.ssh/web-1`, '/cwd/relative'],
      certificateFiles: ['/c'],
      identitiesOnly: true,
      identityAgent: undefined,
      preferredAuthentications: ['password', 'publickey'],
      numberOfPasswordPrompts: 1,
      batchMode: true,
      strictHostKeyChecking: 'yes',
      userKnownHostsFiles: [`${home}/a`, '/b', '/fleet'],
      globalKnownHostsFiles: [],
      hostKeyAlias: 'alias',
      hashKnownHosts: true,
      algorithms: {
        kex: ['curve25519-sha256'],
        ciphers: ['chacha20-poly1305@openssh.com'],
        macs: [
          'hmac-sha2-512',
          'hmac-sha2-256-etm@openssh.com',
          'hmac-sha2-512-etm@openssh.com',
          'hmac-sha1-etm@openssh.com',
          'hmac-sha2-256',
          'hmac-sha1',
        ],
        hostKeys: ['ssh-ed25519'],
      },
      addressFamily: 'inet6',
      bindAddress: '::1',
      compression: true,
      connectTimeoutMs: 7000,
      keepaliveTimeoutMs: 20_000,
      forwardAgent: true,
      environment: { LC_ALL: 'C', A: '1', B: '2' },
    });
  });

  it('takes what is given before what is said, and lets conditions see it', async () => {
    const { target } = await config('User x\nPort 5\nMatch user root\n HostName a\nConnectTimeout 9\n');
    const given = { user: 'root', port: 23, always: { connectTimeoutMs: 1 } };
    expect(target('h', given)).toMatchObject({ user: 'root', port: 23, host: 'a', connectTimeoutMs: 1 });
  });

  it.each([
    ['SSH_AUTH_SOCK', '/sock'],
    ['$OTHER', '/other'],
    ['$NOT_SET', undefined],
    ['/%n', '/h'],
  ])('has the agent %s', async (text, socket) => {
    const env = { SSH_AUTH_SOCK: '/sock', OTHER: '/other' };
    const { target } = await config(`IdentityAgent ${text}\n`, env);
    expect(target('h').identityAgent).toBe(socket);
  });

  it('allows password and keyboard only where they are configured', async () => {
    const { target } = await config('PubkeyAuthentication no\n');
    expect(target('h').preferredAuthentications).toEqual(['keyboard-interactive', 'password']);
    expect(target('h').passwordAuthentication).toBe(false);
  });
});

describe('host keys', () => {
  it.each(['no', 'off', 'false'])('are verified with StrictHostKeyChecking %s, too', async (word) => {
    const { target, notes } = await config(`StrictHostKeyChecking ${word}\nUserKnownHostsFile /dev/null\n`);
    expect(target('h')).toMatchObject({
      strictHostKeyChecking: 'accept-new',
      userKnownHostsFiles: ['/fleet'],
    });
    expect(notes('h')).toEqual([
      '"HOME/.ssh/config" line 1: "stricthostkeychecking" is treated as accept-new: host keys are always verified',
      '"HOME/.ssh/config" line 2: "userknownhostsfile" stores no keys: new host keys are stored in fleet\'s own file',
    ]);
  });

  it('are not hashed in a file of fleet', async () => {
    const { target } = await config('HashKnownHosts yes\n');
    expect(target('h')).toMatchObject({ userKnownHostsFiles: ['/fleet', '/ssh'], hashKnownHosts: false });
  });
});

describe('the way', () => {
  it('leads through jump hosts, each with what is said of it', async () => {
    const { target } = await config(
      'Host a\n HostName 10.0.0.1\n User ua\nHost b\n Port 2\nHost web\n ProxyJump a,ub@b:3\n',
    );
    const { via } = target('web', { user: 'core', always: { connectTimeoutMs: 1 } });
    expect(via).toMatchObject({
      kind: 'jump',
      jumps: [
        { name: 'a', host: '10.0.0.1', port: 22, user: 'ua', via: { kind: 'direct' }, connectTimeoutMs: 1 },
        { name: 'b', host: 'b', port: 3, user: 'ub', via: { kind: 'direct' } },
      ],
    });
  });

  it('follows the jump hosts of jump hosts, up to a command', async () => {
    const { target } = await config(
      'Host a\n ProxyCommand nc %h %p %r %%\nHost b\n ProxyJump a\nHost web\n ProxyJump b\n',
    );
    const { via } = target('web');
    expect(via.kind === 'jump' && via.jumps.map(({ name, via: way }) => [name, way])).toEqual([
      ['a', { kind: 'command', command: 'nc a 22 me %' }],
      ['b', { kind: 'direct' }],
    ]);
  });

  it.each(['Host *\n ProxyJump b\n', 'Host b web\n ProxyJump a\nHost a\n ProxyJump b\n'])(
    'does not lead in circles: %j',
    async (text) => {
      const { problem } = await config(text);
      expect(problem('web')[0]).toMatch(/^"proxyjump" of "." forms a cycle: "."$/);
    },
  );
});

describe('a line that fleet cannot follow', () => {
  it.each([
    ['RevokedHostKeys /r', '"revokedhostkeys" is not supported: /r'],
    ['BindInterface eth1', '"bindinterface" is not supported: eth1'],
    ['ProxyCommand nc\nProxyUseFdpass yes', '"proxyusefdpass" is not supported: yes'],
    [
      'CanonicalDomains example.com\nCanonicalizeHostname yes',
      '"canonicalizehostname" is not supported: yes',
    ],
    ['KexAlgorithms sntrup761x25519-sha512', '"kexalgorithms" leaves no algorithm that fleet supports'],
    ['RefuseConnection "not you"', '"refuseconnection" forbids it: not you'],
    ['IdentityFile ~bob/key', '"identityfile" names the home folder of another user: "~bob/key"'],
  ])('is an error where it decides: %j', async (text, message) => {
    const { problem, target } = await config(`Host web\n${text}\n`);
    const line = text.split('\n').length + 1;
    expect(problem('web')[0]).toBe(`"HOME/.ssh/config" line ${line}: ${message}`);
    expect(target('other').host).toBe('other');
  });

  it.each([
    'RevokedHostKeys none',
    'ProxyUseFdpass yes',
    'CanonicalizeHostname yes',
    'CanonicalDomains none\nCanonicalizeHostname always',
    'HostName 10.0.0.1\nCanonicalDomains example.com\nCanonicalizeHostname yes',
    'HostName a.b.c\nCanonicalDomains example.com\nCanonicalizeHostname yes',
  ])('is none where it changes nothing: %j', async (text) => {
    const { target } = await config(`${text}\n`);
    expect(target('web').user).toBe('me');
  });

  it('is reported where it has no effect', async () => {
    const { notes } = await config(
      'Tunnel no\nLocalCommand x\nHost web\nKnownHostsCommand /k\nForwardAgent /a\nHost other\nVerifyHostKeyDNS yes\n',
    );
    expect(notes('web')).toEqual([
      '"HOME/.ssh/config" line 4: "knownhostscommand" is ignored',
      '"HOME/.ssh/config" line 5: "forwardagent" names another agent, so no agent is forwarded',
    ]);
  });
});

describe('a bad line', () => {
  it.each([
    ['Port 99999', '"port" must be a port: "99999"'],
    ['Port', '"port" has no argument'],
    ['Port 22 23', '"port" has extra arguments at the end of the line'],
    ['User "open', 'a quote is not closed'],
    ['Bogus 1', '"bogus" is not an option of ssh_config'],
    ['Match', '"match" has no argument'],
    ['Match role web', '"match" has the unknown condition "role"'],
    ['Match command x', '"match" with "command" is not supported'],
    ['Include ""', '"include" has an empty argument'],
    ['Include ~bob/x', 'cannot include "~bob/x"'],
    ['ProxyJump a:b', '"proxyjump" must be hosts to jump through such as user@host:port: "a:b"'],
    ['HostName %n', '"hostname" has the unknown token "%n"'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how ssh_config names variables.
    ['IdentityFile ${NO_SUCH}/x', '"identityfile" names the variable "NO_SUCH", which is not set'],
    ['Match exec "exec %z"', '"exec" has the unknown token "%z"'],
    ['Match exec "kill -9 $$"', 'the command of "exec" was ended by SIGKILL: kill -9 $$'],
  ])('is an error with file and line: %j', async (text, message) => {
    const { problem } = await config(`# first\n${text}\n`);
    expect(problem('h')[0]).toBe(`"HOME/.ssh/config" line 2: ${message}`);
  });

  it('is named in the file it is in', async () => {
    const { problem } = await homeWith({
      config: 'Host nobody\nInclude conf.d/*\n',
      'conf.d/a': '\nPort x\n',
    });
    expect(problem('h')[0]).toBe('"HOME/.ssh/conf.d/a" line 2: "port" must be a port: "x"');
  });

  it('that includes its own file is no endless loop', async () => {
    const { problem } = await config('Include config\n');
    expect(problem('h')[0]).toBe('"HOME/.ssh/config" line 1: includes are nested more than 16 levels deep');
  });
});

describe('files', () => {
  it.each([
    ['everybody', 0o602, false],
    ['readable for all', 0o644, true],
    ['a group of one', 0o620, true],
  ])('may be written by %s', async (_, mode, isFine) => {
    const { problem, target, home } = await homeWith({ config: 'Include more\n', more: 'Port 1\n' });
    await chmod(join(home, '.ssh/more'), mode);
    if (isFine) return expect(target('h').port).toBe(1);
    expect(problem('h')).toEqual([
      expect.stringMatching(
        /^Cannot use "HOME\/.ssh\/more": other users may write it \(owner \w+, mode 0602\)$/,
      ),
      expect.stringMatching(/^If you trust it: chmod go-w \S+\/\.ssh\/more$/),
    ]);
  });

  it.skipIf(process.getuid?.() !== 0)('may not be written by a group of others', async () => {
    const { problem, home } = await homeWith({ config: 'Include more\n', more: 'Port 1\n' });
    await chown(join(home, '.ssh/more'), 0, 54_321);
    await chmod(join(home, '.ssh/more'), 0o620);
    expect(problem('h')[0]).toMatch(/other users may write it \(owner root, mode 0620\)$/);
  });

  it('that are named have to be there', async () => {
    const { problem } = await homeWith({});
    expect(problem('h')[0]).toMatch(/^cannot read "HOME\/\.ssh\/config": ENOENT/);
  });

  it('are read once', async () => {
    const { target, home } = await config('Port 5\n');
    expect(target('a').port).toBe(5);
    await rm(join(home, '.ssh/config'));
    expect(target('b').port).toBe(5);
  });
});

it('a command of Match runs once for all machines for which it reads the same', async () => {
  const { target, home } = await config(
    'Match exec "echo >>%d/ran"\n Port 5\nMatch exec "echo %n >>%d/named"\n User x\n',
  );
  expect([target('a').port, target('b').user]).toEqual([5, 'x']);
  expect(await readFile(join(home, 'ran'), 'utf8')).toBe('\n');
  expect(await readFile(join(home, 'named'), 'utf8')).toBe('a\nb\n');
});
