import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { authorize, forbid, isAuthorized } from '../../src/install/authorize.ts';
import { lookAtHost } from '../../src/install/facts.ts';
import { type Host, runWell, thisHost } from '../../src/install/host.ts';
import { writeScript } from '../../src/install/scripts.ts';

const here = thisHost('here');

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fleet-install-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

it('runs a script, says how it ended, and what it printed', async () => {
  expect(await here.run('echo out; echo err >&2; exit 3')).toEqual({
    status: 3,
    output: 'out\n',
    errors: 'err\n',
  });
  expect(await here.run('false\necho not reached')).toEqual({ status: 1, output: '', errors: '' });
  expect((await here.run('echo "$UNSET"')).status).not.toBe(0);
  await expect(runWell(here, 'echo why >&2; return 2', 'do it')).rejects.toMatchObject({
    code: 'install',
    message: 'Cannot do it on "here": "why"',
  });
});

it('gives a script its input to the byte, and none of itself', async () => {
  const input = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
  expect((await here.run('sha256sum; echo end', input)).output).toMatch(/^[0-9a-f]{64} {2}-\nend\n$/);
  expect((await here.run('wc -c', input)).output.trim()).toBe('300000');
  expect((await here.run('wc -c')).output.trim()).toBe('0');
});

it.runIf(process.getuid?.() === 0)('writes files whole, with their modes, or not at all', async () => {
  const at = folder();
  const file = (name: string, content: Buffer) =>
    ({ path: join(at, name), mode: '0640', owner: 'root:root', content }) as const;
  const files = [
    file('a/one', Buffer.from([0, 255, 10, 13])),
    file("b'c/two", Buffer.alloc(0)),
    file('a/three', Buffer.alloc(99_999, 7)),
  ];
  await runWell(here, writeScript(files), 'write', Buffer.concat(files.map(({ content }) => content)));
  for (const { path, content } of files) expect(readFileSync(path).equals(content)).toBe(true);
  expect(statSync(join(at, 'a/one')).mode & 0o777).toBe(0o640);
  expect(statSync(join(at, 'a')).mode & 0o777).toBe(0o755);
  const cut = await here.run(writeScript([file('a/one', Buffer.from('longer'))]), Buffer.from('long'));
  expect(cut).toMatchObject({ status: 1, errors: expect.stringContaining('was not received completely') });
  expect(readFileSync(join(at, 'a/one'))).toEqual(Buffer.from([0, 255, 10, 13]));
});

it('lets a key log in once, and no more, and leaves other lines as they are', async () => {
  const at = folder();
  // A user whose name means something to a shell is in the folder where the session begins.
  const login: Host = {
    ...here,
    run: (script, input) => here.run(`cd ${at}\nid() { echo 'a b'; }\n${script}`, input),
  };
  const file = join(at, '.ssh/authorized_keys');
  const line = 'ssh-ed25519 AAAAKEY+/= fleetd@host';
  expect(await isAuthorized(login, line)).toBe(false);
  expect(await isAuthorized(login, undefined)).toBe(false);
  await forbid(login, line);
  await authorize(login, line);
  expect(readFileSync(file, 'utf8')).toBe(`${line}\n`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  // Without a newline at its end, as an editor may leave it.
  const own = '# mine\n\nfrom="10.*" ssh-rsa AAAAOTHER \\n $HOME `id`';
  writeFileSync(file, own);
  await authorize(login, line);
  await authorize(login, line);
  expect(readFileSync(file, 'utf8')).toBe(`${own}\n${line}\n`);
  expect(await isAuthorized(login, line)).toBe(true);
  await forbid(login, line);
  expect(readFileSync(file, 'utf8')).toBe(`${own}\n`);
});

it('looks at this computer', async () => {
  const facts = await lookAtHost(here, ['/etc/passwd', '/nowhere']);
  expect(facts).toMatchObject({ isRoot: process.getuid?.() === 0, missing: [] });
  expect([...facts.digests.keys()]).toEqual(['/etc/passwd']);
  expect(facts.architecture).not.toBe('');
});
