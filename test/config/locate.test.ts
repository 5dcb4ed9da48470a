import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { asUser } from '../support/process.ts';
import { problemOf, sandbox } from './sandbox.ts';

const box = sandbox();
const TEXT = '[machine.a]\naddress = a\n';

beforeEach(async () => {
  for (const folder of [box.cwd, box.home]) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
  }
});

describe('the file that is read', () => {
  const all = [
    'flag.conf',
    'variable.conf',
    'fleet.conf',
    'xdg/fleet/fleet.conf',
    '../home/.config/fleet/fleet.conf',
  ];
  const named = { flags: { config: 'flag.conf' }, env: { FLEETCTL_CONFIG: 'variable.conf' } };
  it.each([
    ['the flag', all, named, 0],
    ['the variable', all, { env: named.env }, 1],
    ['the folder, with an empty variable', all, { env: { FLEETCTL_CONFIG: '' } }, 2],
    ['the folder, before XDG', all, {}, 2],
    ['XDG_CONFIG_HOME', all.slice(3), { xdg: 'xdg' }, 0],
    ['~/.config without XDG_CONFIG_HOME', all.slice(3), {}, 1],
  ])('is that of %s', async (_, files, request, index) => {
    for (const file of files) await box.write(file, TEXT);
    const xdg = 'xdg' in request ? { XDG_CONFIG_HOME: join(box.cwd, request.xdg) } : {};
    const env = 'env' in request ? request.env : {};
    const config = await box.load({
      flags: 'flags' in request ? request.flags : {},
      env: { ...env, ...xdg },
    });
    expect(config.file).toBe(join(box.cwd, files[index] ?? ''));
  });

  it('is not that of a relative XDG_CONFIG_HOME', async () => {
    await box.write('xdg/fleet/fleet.conf', TEXT);
    const file = await box.write('../home/.config/fleet/fleet.conf', TEXT);
    expect((await box.load({ env: { XDG_CONFIG_HOME: 'xdg' } })).file).toBe(file);
  });

  it.each(['~/my.conf', '../home/my.conf'])('may be named as %s', async (config) => {
    const file = await box.write('../home/my.conf', TEXT);
    expect((await box.load({ flags: { config } })).file).toBe(file);
  });
});

describe('no file', () => {
  it.skipIf(existsSync('/etc/fleet/fleet.conf'))(
    'lists where it looked and shows a minimal one',
    async () => {
      const xdg = join(box.cwd, 'xdg');
      expect(await problemOf(box.load({ env: { XDG_CONFIG_HOME: xdg } }), box.cwd)).toEqual([
        'no configuration found, looked for "fleet.conf", "xdg/fleet/fleet.conf", "/etc/fleet/fleet.conf"',
        'Name a file with --config or FLEETCTL_CONFIG, or write a fleet.conf such as:\n[machine.web-1]\naddress = 10.10.1.1',
      ]);
    },
  );

  it('shows a minimal one that works', async () => {
    const [, hint] = await problemOf(box.loadText(''), box.cwd);
    const config = await box.loadText(hint.slice(hint.indexOf('[')));
    expect(config.machines[0]?.machine).toEqual({ name: 'web-1', address: '10.10.1.1', metadata: undefined });
  });
});

describe('a file that cannot be read', () => {
  it.each([
    ['the option', { flags: { config: 'no.conf' } }, 'It was named by option "--config"'],
    [
      'the variable',
      { env: { FLEETCTL_CONFIG: 'no.conf' } },
      'It was named by environment variable "FLEETCTL_CONFIG"',
    ],
  ])('is not passed over when %s names it and it is missing', async (_, request, hint) => {
    await box.write('fleet.conf', TEXT);
    const expected = ['cannot read the configuration "no.conf": no such file', hint];
    expect(await problemOf(box.load(request), box.cwd)).toEqual(expected);
  });

  it('below a file is missing', async () => {
    await box.write('file', '');
    const load = box.load({ flags: { config: 'file/fleet.conf' } });
    expect((await problemOf(load, box.cwd))[0]).toBe(
      'cannot read the configuration "file/fleet.conf": no such file',
    );
  });

  it('is a directory', async () => {
    await mkdir(join(box.cwd, 'fleet.conf'));
    expect((await problemOf(box.load(), box.cwd))[0]).toBe(
      'cannot read the configuration "fleet.conf": it is a folder',
    );
  });

  it('is not UTF-8', async () => {
    const load = box.loadText(Buffer.from('[machine.caf\xe9]', 'latin1'));
    expect(await problemOf(load, box.cwd)).toEqual([
      'cannot read the configuration "fleet.conf": it is not UTF-8 text',
      'Convert it, for example: iconv -f ISO-8859-1 -t UTF-8 FILE >NEW',
    ]);
  });

  it.each([
    ['/dev/zero', 'it is a device'],
    ['big.conf', 'it is longer than 1 MiB'],
  ])('is no configuration: %s', async (config, why) => {
    await box.write('big.conf', '#'.repeat(1024 * 1024 + 1));
    const load = box.load({ flags: { config } });
    expect((await problemOf(load, box.cwd))[0]).toBe(`cannot read the configuration "${config}": ${why}`);
  });

  it('is in a folder that others may write', async () => {
    await box.write('fleet.conf', TEXT);
    await chmod(box.cwd, 0o777);
    expect(await problemOf(box.load(), box.cwd)).toEqual([
      expect.stringMatching(/^cannot read the configuration "fleet.conf": other users may write/),
      expect.stringContaining('chmod go-w'),
    ]);
    const named = await box.load({ flags: { config: 'fleet.conf' } });
    expect(named.machines).toHaveLength(1);
    await chmod(box.cwd, 0o1777);
    expect((await box.load()).machines).toHaveLength(1);
  });

  it('is as long as it may be', async () => {
    expect((await box.loadText(TEXT.padEnd(1024 * 1024, '#'))).machines).toHaveLength(1);
  });

  it('is a loop of links, and no other place is tried', async () => {
    await box.write('../home/.config/fleet/fleet.conf', TEXT);
    await symlink('fleet.conf', join(box.cwd, 'fleet.conf'));
    expect((await problemOf(box.load(), box.cwd))[0]).toMatch(
      /^cannot read the configuration "fleet.conf": ELOOP/,
    );
  });

  it('is not ours to read, and no other place is tried', async () => {
    await box.write('../home/.config/fleet/fleet.conf', TEXT);
    await chmod(await box.write('fleet.conf', TEXT), 0);
    await asUser([dirname(box.cwd), box.cwd], async () =>
      expect((await problemOf(box.load(), box.cwd))[0]).toBe(
        'cannot read the configuration "fleet.conf": permission denied',
      ),
    );
  });

  it('has a name that no file can have', async () => {
    const load = box.load({ flags: { config: 'a\0b' } });
    expect((await problemOf(load, box.cwd))[0]).toMatch(/^cannot read the configuration "a\\u0000b": /);
  });
});
