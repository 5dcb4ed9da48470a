import { beforeEach, describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { type StatusRequest, unitStatus } from '../../src/operations/status.ts';
import type { statusQuery } from '../../src/systemd/queries.ts';
import { idOf } from '../support/builders.ts';
import { answering } from '../support/fake-session.ts';
import { FALSE, GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

let scene: Scene;

beforeEach(async () => {
  scene = await makeScene();
  const files = {
    'all.service': GLOBAL,
    'one.service': SLEEP + pinnedTo('m1'),
    'web@.service': SLEEP + pinnedTo('m2'),
    'bad.service': FALSE + pinnedTo('m3'),
  };
  for (const [name, text] of Object.entries(files)) await scene.write(name, text);
  await scene.start('one', 'all', 'web@1', 'bad');
  await scene.submit(['web@.service']);
});

function pinnedTo(machine: string): string {
  return `[X-Fleet]\nMachineID=${idOf(machine)}\n`;
}

/** The status of units, in a line each. */
async function told(
  units: readonly string[],
  more: Partial<StatusRequest> = {},
): Promise<Readonly<Record<string, readonly string[]>>> {
  const request = { verb: 'status', units, machine: undefined, lines: 3, ...more };
  const { statuses, problems, unreachable } = await unitStatus(scene.ports, request);
  return {
    there: statuses.map(({ unit, machine, state }) => `${unit} ${machine.name} ${state?.active}`),
    problems: problems.map(({ error }) => error.code),
    silent: unreachable.map(({ machine }) => machine.name),
  };
}

describe('the status of units', () => {
  it.each([
    ['a standard unit, on its machine', ['one'], ['one.service m1 active']],
    [
      'a global unit, on all of its machines',
      ['all'],
      ['all.service m1 active', 'all.service m2 active', 'all.service m3 active'],
    ],
    ['a unit that failed', ['bad.service'], ['bad.service m3 failed']],
    ['a glob, which means no template', ['web@*'], ['web@1.service m2 active']],
    ['a unit that is named twice, once', ['one', 'one.service'], ['one.service m1 active']],
    ['several units, sorted', ['web@1', 'one'], ['one.service m1 active', 'web@1.service m2 active']],
  ])('%s', async (_, units, there) => {
    expect(await told(units)).toEqual({ there, problems: [], silent: [] });
  });

  it('has what systemctl says, of all units of a machine at once', async () => {
    const request = { verb: 'status', units: ['all', 'one'], machine: 'm1', lines: 3 };
    const { statuses } = await unitStatus(scene.ports, request);
    expect(statuses.map(({ text }) => text)).toEqual([
      'all.service on m1, 3 lines',
      'one.service on m1, 3 lines',
    ]);
  });

  it('is narrowed to a machine, by name, address or id', async () => {
    for (const machine of ['m2', '10.0.0.2']) {
      expect(await told(['all'], { machine })).toMatchObject({ there: ['all.service m2 active'] });
    }
  });

  it.each([
    ['a unit that does not exist', ['nope', 'one'], ['unit-not-found'], ['one.service m1 active']],
    ['a glob without a match', ['nope*', 'one'], ['unit-not-found'], ['one.service m1 active']],
  ])('%s hides nothing', async (_, units, problems, there) => {
    expect(await told(units)).toEqual({ there, problems, silent: [] });
  });

  it('of a unit that is on no machine, or not on that one, is a problem', async () => {
    await scene.write('new.service', SLEEP);
    await scene.submit(['new']);
    expect(await told(['new'])).toEqual({ there: [], problems: ['not-loaded'], silent: [] });
    expect(await told(['one'], { machine: 'm3' })).toEqual({
      there: [],
      problems: ['not-loaded'],
      silent: [],
    });
  });

  it('refuses a template', async () => {
    await expect(told(['web@.service'])).rejects.toMatchObject({
      code: 'usage',
      hint: "Name its instances: fleetctl status 'web@*'",
    });
  });

  it('of a template tells where its file is, and how to see its connections', async () => {
    await scene.write('idle@.service', SLEEP);
    await scene.submit(['idle@.service']);
    await expect(told(['idle@'])).rejects.toMatchObject({
      hint: 'It has no instances; start one: fleetctl start idle@NAME.service',
    });
    await scene.write('echo@.service', SLEEP);
    await scene.write('echo.socket', `[Socket]\nListenStream=/run/echo\nAccept=yes\n${pinnedTo('m2')}`);
    await scene.start('echo.socket');
    await expect(told(['echo@'])).rejects.toMatchObject({
      message:
        'Template "echo@.service" has no state: its file is beside "echo.socket" on machine "m2", for one service per connection',
      hint: "To see the journal of all connections: fleetctl ssh echo.socket journalctl -u 'echo@*'",
    });
  });

  it('refuses a machine that is not there', async () => {
    await expect(told(['one'], { machine: 'm9' })).rejects.toMatchObject({ code: 'machine-not-found' });
  });
});

describe('a machine that does not answer', () => {
  it('is reported, and hides no other', async () => {
    scene.machines.disconnect('m2');
    expect(await told(['all', 'one', 'web@1'])).toEqual({
      there: ['all.service m1 active', 'all.service m3 active', 'one.service m1 active'],
      problems: [],
      silent: ['m2'],
    });
  });

  it('is not asked when none of the units is on it', async () => {
    scene.machines.disconnect('m2');
    expect(await told(['one'])).toEqual({ there: ['one.service m1 active'], problems: [], silent: [] });
  });

  it('may become unreachable after it told what it has', async () => {
    const { connect } = scene.ports.driver;
    const lost = new FleetError('ssh-lost', 'Lost the connection');
    const driver = {
      ...scene.ports.driver,
      connect: (machine: Parameters<typeof connect>[0]) => {
        const session = connect(machine);
        return machine.name === 'm3'
          ? {
              ...session,
              ask: answering<typeof statusQuery>({ status: () => Promise.reject(lost) }, session.ask),
            }
          : session;
      },
    };
    scene = { ...scene, ports: { ...scene.ports, driver } };
    expect(await told(['all'])).toEqual({
      there: ['all.service m1 active', 'all.service m2 active'],
      problems: [],
      silent: ['m3'],
    });
  });
});
