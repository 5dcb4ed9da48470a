import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseEndpoint } from '../../src/api/client.ts';
import { originOf } from '../../src/config/config.ts';
import { Api } from '../api/support.ts';
import { House } from '../controller/support.ts';
import { hasSshd, startOpenSsh } from '../ssh/openssh.ts';
import { startSshd } from '../support/sshd.ts';
import { makeDesk } from './desk.ts';

const soon = { timeout: 10_000, interval: 10 };
/** The machine of REFUSING, as a controller on another box reaches it. */
const M1 = { name: 'm1', address: '127.0.0.1:1', metadata: {} };
const CONF = '[machine.m1]\naddress = 127.0.0.1:1\nidentity_file = key\n';
const UNITS = ['list-units', '--no-legend', '--fields', 'unit,active,sub'];
const RUNNING = { status: 0, out: 'a.service  active  running\n', err: '' };

/** A controller that has a unit running on m1. */
async function busyHouse(): Promise<House> {
  const house = new House([M1]);
  await house.want('launched', '', 'a.service');
  await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
  return house;
}

/** A desk with CONF finds that controller by itself. */
function listenAt({ cwd }: { readonly cwd: string }, house: House): Promise<Api> {
  const registry = { kind: 'file', directory: join(cwd, 'registry') } as const;
  const origin = originOf({ registry });
  return Api.of(house, { socketPath: join(cwd, 'fleet.sock'), origin });
}

describe('--endpoint', () => {
  it('has every list from the controller there, without a fleet.conf', async () => {
    const { socketPath } = await Api.of(await busyHouse());
    const desk = await makeDesk();
    const endpoint = `unix://${socketPath}`;
    expect(await desk.run([...UNITS, '--endpoint', endpoint])).toEqual(RUNNING);
    expect(await desk.run(UNITS, { FLEETCTL_ENDPOINT: endpoint })).toEqual(RUNNING);
    const files = await desk.run(['list-unit-files', '--endpoint', endpoint, '--no-legend']);
    expect(files.out).toMatch(
      /^a\.service +[0-9a-f]{7} +launched +launched +6d310000\.\.\.\/127\.0\.0\.1:1\n$/,
    );
    const machines = await desk.run(['list-machines', '--endpoint', endpoint, '-o', 'json']);
    expect(JSON.parse(machines.out)).toMatchObject({
      machines: [{ name: 'm1', state: 'reachable', units: 1, systemd: 252, memoryTotalBytes: 4 * 1024 ** 3 }],
    });
  });

  it('tells machines that do not answer, as a look at them does', async () => {
    const house = await busyHouse();
    const { socketPath } = await Api.of(house);
    house.fakes.disconnect('m1');
    await vi.waitFor(() => expect(house.kinds()).toContain('machine-lost'), soon);
    const { status, out, err } = await (await makeDesk()).run([...UNITS, '--endpoint', `unix:${socketPath}`]);
    expect([status, out]).toEqual([0, 'a.service  unknown  unreachable\n']);
    expect(err).toContain('Cannot reach machine "m1"');
  });

  it('fails when no controller answers, and when it is none', async () => {
    const desk = await makeDesk();
    expect(await desk.run(['list-units', '--endpoint', 'unix:///nowhere.sock'])).toEqual({
      status: 1,
      out: '',
      err: 'Error: The endpoint "unix:///nowhere.sock" is unreachable: there is no such socket\nhint: Is fleetd running there? "--endpoint none" asks the machines\n',
    });
    expect((await desk.run(['list-units', '--endpoint', 'ftp://x'])).status).toBe(2);
  });

  it('says why a controller cannot tell', async () => {
    const house = await busyHouse();
    const { socketPath } = await Api.of(house);
    vi.spyOn(house.controller, 'snapshotWith').mockReturnValue(undefined);
    const { err } = await (await makeDesk()).run(['list-units', '--endpoint', `unix:${socketPath}`]);
    expect(err).toContain('refuses: "fleetd has not observed every machine yet"');
  });
});

describe('--tunnel', () => {
  it('reaches the socket on another box over SSH, and no box whose key is not known', async () => {
    const { socketPath } = await Api.of(await busyHouse());
    const sshd = await startSshd({ user: 'core' });
    onTestFinished(() => sshd.close());
    const desk = await makeDesk();
    const endpoint = ['--endpoint', `unix:${socketPath}`];
    const tunnel = [
      '--tunnel',
      `core@${sshd.host}:${sshd.port}`,
      '--ssh-identity-file',
      'key',
      '--ssh-config',
      'none',
    ];
    const unknown = await desk.run([...UNITS, ...endpoint, ...tunnel]);
    expect([unknown.status, unknown.err]).toEqual([5, expect.stringContaining('host key')]);
    await desk.write('known', `[${sshd.host}]:${sshd.port} ${sshd.hostKeys[0]}\n`);
    const known = ['--known-hosts-file', 'known'];
    expect(await desk.run([...UNITS, ...endpoint, ...tunnel, ...known])).toEqual(RUNNING);
    await vi.waitFor(() => expect(sshd.openConnections()).toBe(0), soon);

    const nowhere = await desk.run([...UNITS, '--endpoint', 'unix:///nowhere.sock', ...tunnel, ...known]);
    expect([nowhere.status, nowhere.err]).toEqual([
      5,
      expect.stringContaining('cannot connect to "/nowhere.sock" there'),
    ]);
    expect((await desk.run([...UNITS, '--endpoint', 'http://a:1', ...tunnel])).status).toBe(2);
    expect((await desk.run([...UNITS, '--tunnel', 'a b@c:d'])).status).toBe(2);
  });
});

describe.skipIf(!hasSshd)('--tunnel through the sshd of OpenSSH', () => {
  it('reaches the socket, and says why not where sshd does not let it through', async () => {
    const { socketPath } = await Api.of(await busyHouse());
    const ask = async (config: readonly string[]) => {
      const sshd = await startOpenSsh(config);
      const tunnel = [
        '--tunnel',
        `${sshd.user}@${sshd.host}:${sshd.port}`,
        '--endpoint',
        `unix:${socketPath}`,
      ];
      const key = ['--ssh-identity-file', sshd.identityFile, '--strict-host-key-checking', 'accept-new'];
      return (await makeDesk()).run([...UNITS, ...tunnel, ...key, '--ssh-config', 'none']);
    };
    expect(await ask([])).toEqual(RUNNING);
    const { status, err } = await ask(['AllowStreamLocalForwarding no']);
    expect([status, err]).toEqual([5, expect.stringContaining('AllowStreamLocalForwarding')]);
  });
});

describe('a fleetd on this box', () => {
  it('is found by itself when it has the same registry and machines, unless machines are to be asked', async () => {
    const desk = await makeDesk(CONF);
    await listenAt(desk, await busyHouse());
    // On a box that is busy it may not answer quickly enough.
    await vi.waitFor(async () => expect(await desk.run(UNITS)).toEqual(RUNNING), soon);
    const direct = await desk.run([...UNITS, '--endpoint', 'none']);
    expect([direct.out, direct.err]).toEqual(['', expect.stringContaining('connection refused')]);
  });

  it('is waited for when it says that it works on its answer', async () => {
    const desk = await makeDesk(CONF);
    const house = await busyHouse();
    await listenAt(desk, house);
    const load = house.registry.load.bind(house.registry);
    vi.spyOn(house.registry, 'load').mockImplementation(async () => {
      await sleep(500);
      return load();
    });
    await vi.waitFor(async () => expect(await desk.run(UNITS)).toEqual(RUNNING), soon);
  });

  it('of another cluster is none of ours', async () => {
    const desk = await makeDesk(CONF);
    await Api.of(await busyHouse(), { socketPath: join(desk.cwd, 'fleet.sock') });
    expect((await desk.run(UNITS)).err).toContain('connection refused');
  });

  it('that hangs is not waited for', async () => {
    const desk = await makeDesk(CONF);
    const hung = createServer().listen(join(desk.cwd, 'fleet.sock'));
    onTestFinished(() => void hung.close());
    await once(hung, 'listening');
    expect((await desk.run(UNITS)).err).toContain('connection refused');
  });
});

describe('an endpoint', () => {
  it.each([
    ['unix:///run/fleet.sock', { socketPath: '/run/fleet.sock' }],
    ['unix:/run/fleet.sock', { socketPath: '/run/fleet.sock' }],
    ['http://127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['http://127.0.0.1:8080/', { host: '127.0.0.1', port: 8080 }],
    ['https://fleet.example', { host: 'fleet.example' }],
    ['http://[::1]:80', { host: '::1' }],
    ['unix:relative', undefined],
    ['http://', undefined],
    ['http://a:b', undefined],
    ['http://user@host', undefined],
    ['http://host/path', undefined],
    ['/run/fleet.sock', undefined],
  ])('%s is read', (text, options) => {
    expect(parseEndpoint(text)?.options).toEqual(options);
  });
});
