import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import {
  type JournalRequest,
  type JournalStream,
  parseClock,
  parseEntry,
  unitOfEntry,
} from '../../src/systemd/journal.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { LocalShell, SHELLS } from '../support/local-shell.ts';

const MACHINE = { name: 'web-1', address: '127.0.0.1', metadata: {} };
const REQUEST: JournalRequest = {
  units: ['a.service'],
  output: 'json',
  lines: 5,
  since: undefined,
  until: undefined,
  after: undefined,
  follow: false,
  sudo: false,
};

/** Opens a journal in a real shell, where `journalctl` is that script. */
async function open(
  journalctl: string,
  {
    shell = '/bin/sh',
    setup = '',
    ...changes
  }: Partial<JournalRequest> & { shell?: string; setup?: string } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-journal-'));
  await writeFile(join(folder, 'journalctl'), `#!/bin/sh\ncd ${folder}\necho $$ >pid\n${journalctl}\n`);
  await chmod(join(folder, 'journalctl'), 0o755);
  const environment = { PATH: `${folder}:${process.env.PATH ?? ''}` };
  const transport = new LocalShell({ shell, setup, environment, rewrite: (script) => script });
  onTestFinished(async () => {
    transport.kill();
    await rm(folder, { recursive: true });
  });
  const ssh = { ...TARGET_DEFAULTS, name: 'web-1', host: '127.0.0.1', user: 'root' };
  const access = () => ({ ssh, become: 'none' as const });
  const driver = createSshDriver(transport, { access, settleMs: 0 });
  const stream = await driver.journal(MACHINE, { ...REQUEST, ...changes });
  const file = join(folder, 'pid');
  const pid = (): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0);
  return { stream, text: collect(stream), pid, transport };
}

function collect(stream: JournalStream): () => string {
  let text = '';
  stream.onText((more) => {
    text += more;
  });
  return () => text;
}

describe.each(SHELLS)('a journal in %s', (shell) => {
  it('is what journalctl prints, whatever the login shell said before', async () => {
    const { stream, text } = await open('printf "%s\\n" "$@"', { shell, setup: 'echo welcome; echo back' });
    await stream.ended;
    expect(text()).toBe('--no-pager\n--quiet\n--all\n--output=json\n--unit=a.service\n--lines=5\n');
    expect(Math.abs(stream.clock.now - Date.now() / 1000)).toBeLessThan(60);
  });

  it.each([
    ['text without a newline', 'head -c 1500000 /dev/zero | tr "\\0" x'],
    ['many lines', 'yes | head -c 1500000; echo oops >&2'],
  ])('tolerates a login shell that prints 1.5 MB: %s', async (_, setup) => {
    const { stream, text } = await open('echo entry; echo "no such boot" >&2; exit 1', { shell, setup });
    await expect(stream.ended).rejects.toMatchObject({
      message: 'Cannot read the journal on machine "web-1": "no such boot"',
    });
    expect(text()).toBe('entry\n');
  });

  it('of a journalctl that ends without a word says so, and not what the login shell said', async () => {
    const { stream } = await open('exit 3', { shell, setup: 'echo noise >&2' });
    await expect(stream.ended).rejects.toMatchObject({
      message: 'Cannot read the journal on machine "web-1": journalctl ended early: exit status 3',
    });
  });

  it('ends journalctl when it is closed', async () => {
    const { stream, pid } = await open('exec sleep 1000', { shell, follow: true });
    await expect.poll(() => pid()).toBeGreaterThan(0);
    await stream.close();
    expect(existsSync(`/proc/${pid()}`)).toBe(false);
  });

  it('that journalctl refuses rejects with its words', async () => {
    const { stream } = await open('echo "Failed to parse timestamp: x" >&2; exit 1', { shell });
    await expect(stream.ended).rejects.toMatchObject({
      code: 'remote-script',
      message: 'Cannot read the journal on machine "web-1": "Failed to parse timestamp: x"',
    });
  });
});

describe('a journal', () => {
  it('quotes every word', async () => {
    const { stream, text } = await open('printf "%s\\n" "$@"', {
      units: [String.raw`a\x2db.service`],
      since: '$(id) "yesterday"',
      after: "s=1;i='2",
      lines: undefined,
      follow: true,
    });
    await stream.ended;
    expect(text().split('\n').slice(4)).toEqual([
      String.raw`--unit=a\x2db.service`,
      '--no-tail',
      '--since=$(id) "yesterday"',
      "--after-cursor=s=1;i='2",
      '--follow',
      '',
    ]);
  });

  it('of a shell that ends early rejects with its words', async () => {
    const early = open('', { setup: 'echo "This account is not available" >&2; exit 1' });
    await expect(early).rejects.toMatchObject({
      message: 'Cannot read the journal on machine "web-1": "This account is not available"',
    });
  });

  it.each([
    ['M 1795414339 +0100 CET', { now: 1_795_414_339, offsetMinutes: 60, zone: 'CET' }],
    ['M 1795414339 -0330 NST', { now: 1_795_414_339, offsetMinutes: -210, zone: 'NST' }],
  ])('reads the clock of %s', (line, clock) => {
    expect(parseClock(line)).toEqual(clock);
  });
});

describe('an entry', () => {
  const parse = (fields: object) =>
    parseEntry(JSON.stringify({ __CURSOR: 'c', __REALTIME_TIMESTAMP: '5', ...fields }));

  it.each([
    ['text', 'Hällo', 'Hällo'],
    ['bytes', [72, 195, 164], 'Hä'],
    ['a field that is there twice', ['one', 'two'], 'one'],
    ['nothing', null, ''],
  ])('has a message of %s', (_, MESSAGE, text) => {
    expect(parse({ MESSAGE })?.fields.MESSAGE).toBe(text);
  });

  it.each(['', 'Hello', '[1]', '{"MESSAGE":"x"}', '{"__CURSOR":"c","__REALTIME_TIMESTAMP":"x"}', 'null'])(
    'is not made of %j',
    (line) => {
      expect(parseEntry(line)).toBeUndefined();
    },
  );

  it.each([
    ['what its processes write', { _SYSTEMD_UNIT: 'b.service' }, 'b.service'],
    ['what systemd says of it', { UNIT: 'b.service', _SYSTEMD_UNIT: 'init.scope' }, 'b.service'],
    [
      'what one unit does to another',
      { OBJECT_SYSTEMD_UNIT: 'b.service', _SYSTEMD_UNIT: 'a.service' },
      'b.service',
    ],
    ['a line without a unit of fleet', { _SYSTEMD_UNIT: 'x.service' }, 'a.service'],
  ])('is about a unit: %s', (_, fields, unit) => {
    const entry = parse(fields);
    expect(entry && unitOfEntry(entry, ['a.service', 'b.service'])).toBe(unit);
  });
});
