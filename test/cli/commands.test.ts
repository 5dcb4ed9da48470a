import { describe, expect, it } from 'vitest';
import { openFileStore } from '../../src/store/file.ts';
import { type Desk, makeDesk, REFUSING } from './desk.ts';

const HELLO = '[Unit]\nDescription=Hello World\n\n[Service]\nExecStart=/bin/sleep infinity\n';
/** What list-machines says of a machine that never answered. */
const UNKNOWN = {
  units: null,
  systemd: null,
  loadAverage: null,
  memoryTotalBytes: null,
  memoryAvailableBytes: null,
  uptimeSeconds: null,
  lastSeen: null,
  cordon: null,
};
const CANNOT = 'Cannot reach machine "m1" (127.0.0.1:1): connection refused';

/** A desk whose registry has hello.service. */
async function deskWithHello(): Promise<Desk> {
  const desk = await makeDesk(REFUSING);
  await desk.write('hello.service', HELLO);
  await desk.run(['submit', 'hello']);
  return desk;
}

describe('commands that need no machine', () => {
  it('submit stores units and says so; again it says nothing', async () => {
    const desk = await makeDesk(REFUSING);
    await desk.write('hello.service', HELLO);
    expect(await desk.run(['submit', 'hello'])).toEqual({
      status: 0,
      out: 'Unit hello.service inactive\n',
      err: '',
    });
    expect(await desk.run(['submit', 'hello'])).toEqual({ status: 0, out: '', err: '' });
  });

  it('submit stores what is good, and tells what is not', async () => {
    const desk = await makeDesk(REFUSING);
    await desk.write('hello.service', HELLO);
    await desk.write('bad.service', 'ExecStart=/bin/true\n');
    const { status, out, err } = await desk.run(['submit', 'bad', 'gone', 'hello']);
    expect([status, out]).toEqual([1, 'Unit hello.service inactive\n']);
    expect(err.split('\n').filter((line) => line.startsWith('Error: '))).toEqual([
      'Error: Cannot read unit file "bad.service", line 1: "ExecStart=/bin/true" is before the first section',
      'Error: Cannot find unit "gone.service": it is not in the registry and not on disk',
    ]);
  });

  it('submit warns of a file that differs, and succeeds', async () => {
    const desk = await deskWithHello();
    await desk.write('hello.service', `# new\n${HELLO}`);
    const { status, out, err } = await desk.run(['submit', 'hello']);
    expect([status, out]).toEqual([0, '']);
    expect(err).toMatch(/^Warning: unit "hello.service" in the registry differs from file "hello.service"/);
    expect(err).toContain('\nhint: ');
  });

  it.each([['--dry-run'], []])('submit --replace -v %s shows what is replaced', async (...options) => {
    const desk = await deskWithHello();
    await desk.write('hello.service', `${HELLO}Nice=1\n`);
    const { status, err } = await desk.run(['submit', 'hello', '--replace', '-v', ...options]);
    expect(status).toBe(0);
    expect(err).toMatch(/^--- registry:hello\.service\n\+\+\+ hello\.service\n@@ .*\n[\s\S]*\n\+Nice=1\n$/);
  });

  it('cat gives the text back to the byte', async () => {
    const desk = await makeDesk(REFUSING);
    const text = `\ufeff# comment\r\n[Service]\r\nExecStart=/bin/echo  "a  b" \\\r\n  c\r\n\r\n; no end of line`;
    await desk.write('odd.service', text);
    await desk.run(['submit', 'odd']);
    expect(await desk.run(['cat', 'odd'])).toEqual({ status: 0, out: text, err: '' });
  });

  it('cat of what is not there', async () => {
    const desk = await makeDesk(REFUSING);
    expect(await desk.run(['cat', 'gone'])).toEqual({
      status: 4,
      out: '',
      err: 'Error: No such unit: "gone.service"\nhint: Units in the registry: fleetctl list-unit-files\n',
    });
  });

  it.each(['stop', 'unload', 'destroy'])('%s of what is not there', async (verb) => {
    const desk = await makeDesk(REFUSING);
    const { status, out, err } = await desk.run([verb, 'gone']);
    expect([status, out, err.split('\n')[0]]).toEqual([4, '', 'Error: No such unit: "gone.service"']);
  });

  it.each(['start', 'load', 'submit'])('%s of a file that is not there', async (verb) => {
    const desk = await makeDesk(REFUSING);
    const { status, out, err } = await desk.run([verb, 'gone']);
    expect([status, out]).toEqual([4, '']);
    expect(err).toMatch(
      /^Error: Cannot find unit "gone.service": it is not in the registry and not on disk\n/,
    );
  });

  it('stop of what is not loaded', async () => {
    const desk = await deskWithHello();
    const { status, err } = await desk.run(['stop', 'hello']);
    expect([status, err.split('\n')[0]]).toEqual([
      1,
      'Error: Cannot stop unit "hello.service": it is not loaded',
    ]);
  });

  it.each(['start', 'load'])('%s of a template', async (verb) => {
    const desk = await makeDesk(REFUSING);
    await desk.write('web@.service', HELLO);
    expect(await desk.run([verb, 'web@.service'])).toEqual({
      status: 2,
      out: '',
      err: `Error: Cannot ${verb} template "web@.service": it is a pattern for units, not a unit\nhint: Name an instance of it: fleetctl ${verb} web@1.service; a new text of it: fleetctl submit --replace web@.service\n`,
    });
  });

  it.each([
    ['a name with a blank', 'bad name.service'],
    ['a name with a dollar', 'foo$.service'],
    ['a device', 'x.device'],
  ])('%s is refused', async (_, name) => {
    const desk = await makeDesk(REFUSING);
    const { status, out, err } = await desk.run(['start', name]);
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(/^Error: Cannot use ".*" as a unit name: /);
  });
});

describe('with a machine that refuses connections', () => {
  it('list-machines shows it, warns, and exits 0', async () => {
    const { status, out, err } = await (await makeDesk(REFUSING)).run(['list-machines']);
    expect([status, out]).toEqual([0, 'MACHINE  IP           METADATA\n-        127.0.0.1:1  -\n']);
    expect(err).toBe(
      `Warning: ${CANNOT}; the state of its units is unknown\nhint: Check that sshd listens on port 1 there\n`,
    );
  });

  it('JSON is on standard output alone, and tells who is missing', async () => {
    const { status, out, err } = await (await makeDesk(REFUSING)).run(['list-machines', '-o', 'json']);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toEqual({
      machines: [{ ...UNKNOWN, id: null, name: 'm1', ip: '127.0.0.1:1', metadata: {}, state: 'unreachable' }],
      unreachable: [
        { id: null, name: 'm1', ip: '127.0.0.1:1', reason: CANNOT, silentMs: expect.any(Number) },
      ],
      unreadable: [],
    });
    expect(err).toMatch(/^Warning: /);
  });

  it('list-units is empty but for its titles', async () => {
    const desk = await makeDesk(REFUSING);
    expect(await desk.run(['list-units'])).toMatchObject({ status: 0, out: 'UNIT  MACHINE  ACTIVE  SUB\n' });
    expect(await desk.run(['list-units', '--no-legend'])).toMatchObject({ status: 0, out: '' });
  });

  it('list-unit-files shows the registry, whole with --full', async () => {
    const desk = await deskWithHello();
    const short = await desk.run(['list-unit-files', '--no-legend']);
    expect(short.out).toMatch(/^hello\.service {2}[0-9a-f]{7} {2}inactive {2}inactive {2}-\n$/);
    const long = await desk.run(['list-unit-files', '-l', '--fields=hash,desc', '--no-legend']);
    expect(long.out).toMatch(/^[0-9a-f]{40} {2}Hello World\n$/);
  });

  it('start places nothing, tells why, and keeps what was asked for', async () => {
    const desk = await makeDesk(REFUSING);
    await desk.write('hello.service', HELLO);
    const { status, out, err } = await desk.run(['start', 'hello']);
    expect([status > 0, out]).toEqual([true, '']);
    expect(err).toBe(
      [
        'Error: Cannot place unit "hello.service": no machine fits',
        `  m1: the machine does not answer: ${CANNOT}`,
        'hint: Check that sshd listens on port 1 there',
        'hint: It stays launched in the registry; run the command again when a machine fits',
        '',
      ].join('\n'),
    );
    expect((await desk.run(['list-unit-files', '--no-legend', '--fields=unit,dstate,state'])).out).toBe(
      'hello.service  launched  inactive\n',
    );
  });

  it('a dry run stores nothing and says what would be missing', async () => {
    const desk = await makeDesk(REFUSING);
    await desk.write('hello.service', HELLO);
    const { out, err } = await desk.run(['start', '--dry-run', 'hello']);
    expect(out).toBe('');
    expect(err).toMatch(/^Error: Cannot place unit "hello.service"/);
    expect((await desk.run(['list-unit-files', '--no-legend'])).out).toBe('');
  });

  it('global flags reach the connection, after the command as well', async () => {
    const desk = await makeDesk(REFUSING);
    const { status, err } = await desk.run(['list-machines', '--ssh-timeout', 'soon']);
    expect(status).toBe(2);
    expect(err).toMatch(/--ssh-timeout/);
    const twin = await desk.run(['list-machines'], { FLEETCTL_SSH_TIMEOUT: 'soon' });
    expect(twin.status).toBe(2);
    expect(twin.err).toMatch(/FLEETCTL_SSH_TIMEOUT/);
  });
});

describe('a registry that cannot be used', () => {
  it.each(['machines', 'ssh://m1/registry'])('in %s is no reason for doctor not to check', async (place) => {
    const desk = await makeDesk(`registry = ${place}\n${REFUSING}`);
    const { status, out, err } = await desk.run(['doctor']);
    expect([status, out]).toEqual([
      1,
      expect.stringMatching(/^m1 +port +failed +Cannot reach machine "m1"/m),
    ]);
    expect(err).toContain(
      'Warning: the registry cannot be read, so only the machines of fleet.conf are checked',
    );
    expect(JSON.parse((await desk.run(['doctor', '-o', 'json'])).out)).toMatchObject({
      machines: [{ name: 'm1', healthy: false }],
    });
  });

  it('is a file', async () => {
    const desk = await makeDesk(`registry = file:notes.txt\n${REFUSING}`);
    await desk.write('notes.txt', 'x');
    await desk.write('hello.service', HELLO);
    const { status, out, err } = await desk.run(['submit', 'hello']);
    expect([status, out]).toEqual([1, '']);
    expect(err).toMatch(/^Error: .*registry "notes.txt".*\nhint: /);
  });

  it('was written by a newer program', async () => {
    const desk = await deskWithHello();
    const store = openFileStore(`${desk.cwd}/registry`);
    const unit = await store.get('units/hello.service');
    const value = unit?.value.replace('"version":1', '"version":99') ?? '';
    await store.commit([{ kind: 'put', key: 'units/hello.service', value, ifRevision: unit?.revision ?? 0 }]);
    await store.close();
    const { status, err } = await desk.run(['cat', 'hello']);
    expect([status, err.includes('Update fleet here')]).toEqual([1, true]);
  });
});
