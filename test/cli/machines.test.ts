import { chmod, lstat, readdir, stat, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeDesk, REFUSING } from './desk.ts';

const TEXT = `; ours\r\n${REFUSING.replaceAll('\n', '\r\n')}`;

describe('fleetctl machines', () => {
  it('adds a machine to the file where it is, with its mode, through a link', async () => {
    const desk = await makeDesk();
    await desk.write('real/ours.conf', `\uFEFF${TEXT}`);
    await chmod(join(desk.cwd, 'real/ours.conf'), 0o640);
    await symlink('real/ours.conf', join(desk.cwd, 'fleet.conf'));
    const words = [
      'machines',
      'add',
      'm2',
      '127.0.0.1:2',
      '--metadata=a=b',
      '--identity-file=key',
      '--no-check',
    ];
    expect(await desk.run(words)).toEqual({ status: 0, out: 'Machine m2 added to fleet.conf\n', err: '' });
    expect(await desk.read('real/ours.conf')).toBe(
      `\uFEFF${TEXT}\r\n[machine.m2]\r\naddress = 127.0.0.1:2\r\nmetadata = a=b\r\nidentity_file = ${desk.cwd}/key\r\n`,
    );
    expect((await lstat(join(desk.cwd, 'fleet.conf'))).isSymbolicLink()).toBe(true);
    expect((await stat(join(desk.cwd, 'real/ours.conf'))).mode & 0o777).toBe(0o640);
    expect(await readdir(join(desk.cwd, 'real'))).toEqual(['ours.conf']);
  });

  it('looks at the machine first, and adds none that is not well', async () => {
    const desk = await makeDesk(REFUSING);
    const { status, out, err } = await desk.run([
      'machines',
      'add',
      'm2',
      '127.0.0.1:2',
      '--identity-file=key',
    ]);
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toContain(
      'm2       port        failed   Cannot reach machine "m2" (127.0.0.1:2): connection refused',
    );
    expect(err).toContain('Error: Machine "m2" was not added to fleet.conf, because a check failed');
    expect(await desk.read('fleet.conf')).toBe(REFUSING);
  });

  it('begins a file where none is, in the first place where one is looked for', async () => {
    const desk = await makeDesk();
    const { status, err } = await desk.run(['machines', 'add', 'm1', '10.0.0.1', '--no-check']);
    expect({ status, err }).toEqual({ status: 0, err: 'There was no fleet.conf: created fleet.conf\n' });
    expect(await desk.read('fleet.conf')).toBe('[machine.m1]\naddress = 10.0.0.1\n');
    await unlink(join(desk.cwd, 'fleet.conf'));
    const named = await desk.run(['--config=x.conf', 'machines', 'add', 'm1', '10.0.0.1', '--no-check']);
    expect(named.out).toBe('Machine m1 added to x.conf\n');
  });

  it('changes settings; metadata without a look at the machine', async () => {
    const desk = await makeDesk(`${REFUSING}metadata = a=b ; old\n`);
    expect(await desk.run(['machines', 'set', 'm1', 'metadata=a=c,d=e'])).toEqual({
      status: 0,
      out: 'Machine m1 changed in fleet.conf\n',
      err: '',
    });
    expect(await desk.run(['machines', 'set', 'm1', 'metadata=', 'user=core', '--no-check'])).toMatchObject({
      status: 0,
    });
    expect(await desk.read('fleet.conf')).toBe(`${REFUSING}user = core\n`);
    expect((await desk.run(['machines', 'set', 'm1', 'user=root'])).status).toBe(1);
  });

  it.each([
    [['add', 'm1', 'x', '--no-check'], 2, 'machine "m1" exists already'],
    [['add', 'm2', '127.0.0.1:1', '--no-check'], 2, 'is already that of machine "m1"'],
    [['add', 'm2', 'a b', '--no-check'], 2, '"address" in [machine.m2] must be host'],
    [['add', 'm 2', 'a', '--no-check'], 2, 'must name a machine with letters'],
    [['add', 'm2', 'a', '--port=0', '--no-check'], 2, 'must be a port from 1 to 65535'],
    [['set', 'm1', 'usr=x', '--no-check'], 2, '"usr" in [machine.m1] is not a known key'],
    [['set', 'm1', 'usr=x', '--no-check'], 2, 'Error: Cannot make this change: '],
    [['set', 'm1', 'address=', '--no-check'], 2, 'has no "address"'],
    [['set', 'm1', 'user'], 2, 'Cannot read "user"'],
    [['set', 'm9', 'user=x'], 4, 'No such machine: "m9"'],
    [['remove', 'm9'], 4, 'No such machine in'],
    [['remove', 'm1'], 2, 'Cannot make this change: no machines in the configuration'],
    [['list'], 2, ''],
    [[], 2, 'Commands: add, set, rename, apply, remove, accept, distrust.'],
  ])('refuses %j, and changes nothing', async (words, status, message) => {
    const desk = await makeDesk(REFUSING);
    const ended = await desk.run(['machines', ...words]);
    expect([ended.status, ended.out]).toEqual([status, '']);
    expect(ended.err).toContain(message);
    expect(await desk.read('fleet.conf')).toBe(REFUSING);
    expect((await readdir(desk.cwd)).toSorted()).toEqual(['fleet.conf', 'key']);
  });

  it('takes a machine out when no unit is assigned to it, and says what stays there', async () => {
    const desk = await makeDesk(`${REFUSING}[machine.m2]\naddress = h2\n`);
    const { status, out, err } = await desk.run(['machines', 'remove', 'm2']);
    expect({ status, out }).toEqual({ status: 0, out: 'Machine m2 removed from fleet.conf\n' });
    expect(err).toContain('/var/lib/fleet');
    expect(await desk.read('fleet.conf')).toBe(REFUSING);
  });
});
