import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { passStatus } from '../../src/cli/exit-status.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { passJson, passReport } from '../../src/output/pass.ts';
import { guarded } from '../../src/reconcile/guard.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { desiredUnit, recordOf, systemdState, TTL_MS } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

/** Two standard units on m1 and m2, and a global one on all three machines. */
async function populated(): Promise<Scene> {
  const scene = await makeScene();
  await scene.write('a.service', SLEEP);
  await scene.write('b.service', SLEEP);
  await scene.write('everywhere.service', GLOBAL);
  await scene.start('a', 'b', 'everywhere');
  return scene;
}

async function pass(scene: Scene): Promise<readonly string[]> {
  const result = await reconcileEverything(scene.ports);
  const { out, err } = passReport(result);
  return [...out, ...err, `status ${passStatus(result)}`];
}

const NOTHING = ['Nothing to do', 'status 0'];

it('does not say that there was nothing to do after voters were replaced', async () => {
  const scene = await populated();
  const changes = [{ gone: ['m3'], come: ['m1'] }];
  const voters = { tend: async () => changes.splice(0), former: () => [], marks: new Map() };
  Object.assign(scene.ports, { voters });
  const first = await reconcileEverything(scene.ports);
  expect([passReport(first), passStatus(first)]).toEqual([{ out: [], err: [] }, 0]);
  expect(passJson(first)).toMatchObject({ voters: [{ gone: ['m3'], come: ['m1'] }] });
  expect(await pass(scene)).toEqual(NOTHING);
});

describe('a pass over everything', () => {
  it('has nothing to do when all is well, nor in a registry that holds nothing, which stays empty', async () => {
    expect(await pass(await populated())).toEqual(NOTHING);
    const empty = await makeScene();
    expect(await pass(empty)).toEqual(NOTHING);
    expect((await empty.ports.registry.load()).revision).toBe(0);
  });

  it('starts what was stopped by hand and puts back a file that was edited', async () => {
    const scene = await populated();
    const stopped = scene.machines.of('m1').units.get('a.service');
    const edited = scene.machines.of('m2').units.get('b.service');
    if (stopped === undefined || edited === undefined) throw new Error('the units are elsewhere');
    stopped.state = systemdState('dead');
    edited.text = `${SLEEP}# by hand\n`;
    expect(await pass(scene)).toEqual([
      'm1: record a.service',
      'm1: start a.service',
      'm2: write the unit file of b.service, which was changed there',
      'm2: stop b.service',
      'm2: record b.service',
      'm2: start b.service',
      'status 0',
    ]);
    expect(edited.text).toBe(SLEEP);
    expect(await pass(scene)).toEqual(NOTHING);
  });

  it('tells what others have added to a unit, and leaves it', async () => {
    const scene = await populated();
    const unit = scene.machines.of('m1').units.get('a.service');
    if (unit === undefined) throw new Error('the unit is elsewhere');
    unit.state = { ...unit.state, dropIns: ['/etc/systemd/system/a.service.d/x.conf'] };
    expect(await pass(scene)).toEqual([
      'Nothing to do',
      'Warning: unit "a.service" on machine "m1" (10.0.0.1) has drop-ins that fleet did not write: /etc/systemd/system/a.service.d/x.conf',
      'status 0',
    ]);
    expect((await withMachineSnapshots(scene.ports, listUnitFiles)).rows.map(({ drift }) => drift)).toContain(
      'drop-in',
    );
  });

  it('removes a copy that is elsewhere, and one that the registry does not know', async () => {
    const scene = await populated();
    const copy = desiredUnit('a.service', '', { text: SLEEP, token: 1 });
    const stray = desiredUnit('stray.service', '', { token: 1 });
    for (const unit of [copy, stray]) {
      const state = systemdState('running');
      scene.machines.of('m3').units.set(unit.name, { text: unit.text, record: recordOf(unit), state });
    }
    expect(await pass(scene)).toEqual([
      'm3: stop a.service',
      'm3: stop stray.service',
      'm3: remove a.service',
      'm3: remove stray.service',
      'status 0',
    ]);
    expect(scene.there()).toEqual({
      m1: ['a.service running', 'everywhere.service running'],
      m2: ['b.service running', 'everywhere.service running'],
      m3: ['everywhere.service running'],
    });
  });

  it('gives a machine that comes late its global units', async () => {
    const scene = await populated();
    scene.machines.of('m3').units.clear();
    expect(await pass(scene)).toEqual([
      'm3: write the unit file of everywhere.service',
      'm3: record everywhere.service',
      'm3: start everywhere.service',
      'status 0',
    ]);
  });
});

describe('an unreachable machine', () => {
  const warning = (since: string): string =>
    `Warning: Cannot reach machine "m1"${since}; the state of its units is unknown`;

  it('keeps its units for agent_ttl, and reports them once; then they move, with the reason', async () => {
    const scene = await populated();
    scene.machines.disconnect('m1');
    expect(await pass(scene)).toEqual([
      warning(''),
      'Error: Cannot reconcile unit "a.service": machine "m1" (10.0.0.1) does not answer',
      'hint: It moves when the machine has been unreachable for agent_ttl (0s so far)',
      'status 5',
    ]);
    scene.machines.disconnect(
      'm1',
      new FleetError('remote-script', 'Cannot use machine "m1": it lacks an id'),
    );
    for (const _ of [1, 2]) {
      scene.clock.time += TTL_MS;
      expect(await pass(scene)).toEqual([
        expect.stringMatching(
          /^Warning: Cannot use machine "m1": it lacks an id( \(silent .*\))?; the state of its units/,
        ),
        'Error: Cannot reconcile unit "a.service": machine "m1" (10.0.0.1) cannot be used',
        'status 5',
      ]);
    }
    scene.machines.disconnect('m1');
    expect((await pass(scene)).slice(1, 2)).toEqual([expect.stringContaining('does not answer')]);
    scene.clock.time += TTL_MS;
    expect(await pass(scene)).toEqual([
      'a.service moves from "m1" (10.0.0.1) to "m3" (10.0.0.3): the machine has not answered for 30s: Cannot reach machine "m1"',
      'm3: write the unit file of a.service',
      'm3: record a.service',
      'm3: start a.service',
      warning(' (unreachable for 30s)'),
      'status 0',
    ]);
  });

  it('is not a failure when only global units were there', async () => {
    const scene = await populated();
    scene.machines.disconnect('m3');
    expect((await pass(scene)).at(-1)).toBe('status 0');
  });

  it('keeps its units when more than half of the machines are unreachable, and that is said', async () => {
    const scene = await populated();
    for (const name of ['m1', 'm2']) scene.machines.disconnect(name);
    await pass(scene);
    scene.clock.time += 10 * TTL_MS;
    const said = await pass(scene);
    expect(said).not.toContain('Nothing to do');
    expect(said).toContain(
      'Warning: more than half of the machines do not answer, so no unit leaves its machine: the network here may be down',
    );
    expect(said.at(-1)).toBe('status 5');
  });

  it('loses its copy when it is back', async () => {
    const scene = await populated();
    scene.machines.disconnect('m1');
    await pass(scene);
    scene.clock.time += TTL_MS;
    await pass(scene);
    scene.machines.of('m1').unreachable = undefined;
    expect(await pass(scene)).toEqual(['m1: stop a.service', 'm1: remove a.service', 'status 0']);
  });
});

describe('what a pass cannot do', () => {
  it('is reported for a unit that the registry does not know, and does not count as done', async () => {
    const scene = await populated();
    const stray = desiredUnit('stray.service', '', { token: 1 });
    const machine = scene.machines.of('m2');
    machine.units.set(stray.name, {
      text: stray.text,
      record: recordOf(stray),
      state: systemdState('running'),
    });
    machine.change = (changes) =>
      changes.map(({ unit }) => ({
        unit,
        machine: 'm2',
        state: undefined,
        failure: { code: 'step', step: 'stop', detail: 'it is still deactivating' },
      }));
    expect(await pass(scene)).toEqual([
      'Error: Cannot reconcile unit "stray.service" on machine "m2" (10.0.0.2): could not stop it: "it is still deactivating"',
      'status 1',
    ]);
  });
});

describe('a registry that is not what it was', () => {
  it('is refused when it is older than what machines have, and nothing is removed', async () => {
    const scene = await populated();
    const before = scene.there();
    const unit = scene.machines.of('m2').units.get('b.service');
    if (unit?.record === undefined) throw new Error('b.service is elsewhere');
    unit.record = { ...unit.record, token: 1000 };
    const error = await reconcileEverything(guarded(scene.ports)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FleetError);
    expect(error).toMatchObject({ code: 'registry-outdated' });
    expect(scene.there()).toEqual(before);
  });

  it('is not to be recovered because one machine says that it belongs to another cluster', async () => {
    const scene = await populated();
    scene.machines.of('m3').cluster = 'theirs';
    const said = await pass(scene);
    expect(said).toContain('Error: Cannot reconcile a machine of another cluster');
    expect(said.filter((line) => line.includes('fleetctl recover'))).toEqual([]);
  });

  it('touches no machine when it was lost and created again', async () => {
    const scene = await populated();
    const before = scene.there();
    const registry = createRegistry(createMemoryStore(), { clock: scene.ports.clock, author: 'me@here' });
    const fresh: Scene = { ...scene, ports: { ...scene.ports, registry } };
    const said = await pass(fresh);
    expect(said).not.toContain('Nothing to do');
    expect(said).toContain(
      'hint: If the registry was lost and created again, move it away and restore the old one: fleetctl recover',
    );
    expect(said.at(-1)).toBe('status 1');
    expect(scene.there()).toEqual(before);
    expect((await registry.load()).revision).toBe(0);
  });
});
