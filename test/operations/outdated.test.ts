import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { drain, setCordon } from '../../src/operations/drain.ts';
import { listEvents } from '../../src/operations/list-events.ts';
import { listMachines } from '../../src/operations/list-machines.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { forgetMachine } from '../../src/operations/machine-membership.ts';
import { withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { restart } from '../../src/operations/restart.ts';
import { rollback } from '../../src/operations/rollback.ts';
import { destroy, load, start, stop, submitUnits, unload } from '../../src/operations/set-target-state.ts';
import { cat, history } from '../../src/operations/unit-texts.ts';
import { guarded } from '../../src/reconcile/guard.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { createRegistry, previewRegistry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import { previewDriver } from '../../src/systemd/driver.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

/** A scene whose registry is a file that can be put back, and in which every command is a separate process. */
async function desk() {
  const scene = await makeScene();
  const folder = mkdtempSync(join(tmpdir(), 'fleet-outdated-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'records');
  for (const name of ['a.service', 'b.service', 'new.service']) await scene.write(name, SLEEP);
  const options = { clock: scene.clock, author: 'me@here' };
  const ports = (): Ports => ({ ...scene.ports, registry: createRegistry(openFileStore(folder), options) });
  const command = <T>(work: (ports: Ports) => Promise<T>): Promise<T> => work(guarded(ports()));
  const request = (...units: string[]) => ({ units, cwd: scene.cwd, replace: true });
  return {
    scene,
    command,
    request,
    preview: () =>
      guarded({
        ...ports(),
        registry: previewRegistry(ports().registry, options),
        driver: previewDriver(scene.ports.driver),
      }),
    read: () => readFileSync(path),
    restore: (bytes: Buffer) => writeFileSync(path, bytes),
    revision: async () => (await ports().registry.load()).revision,
  };
}

type Desk = Awaited<ReturnType<typeof desk>>;

/** Every command that changes something. */
const CHANGES: readonly (readonly [string, (ports: Ports, desk: Desk) => Promise<unknown>])[] = [
  ['submit', (ports, { request }) => submitUnits(ports, request('new.service'))],
  ['load', (ports, { request }) => load(ports, request('a.service'))],
  ['start', (ports, { request }) => start(ports, request('a.service', 'new.service'))],
  ['stop', (ports) => stop(ports, ['a.service'])],
  ['unload', (ports) => unload(ports, ['a.service'])],
  ['destroy', (ports) => destroy(ports, ['a.service'])],
  ['restart', (ports) => restart(ports, ['b.service'], 1)],
  ['rollback', (ports) => rollback(ports, { unit: 'b.service', to: undefined })],
  ['reconcile', (ports) => reconcileEverything(ports)],
  ['cordon', (ports) => setCordon(ports, ['m1'], 'standard')],
  ['drain', (ports) => drain(ports, { machine: 'm1', maxParallel: 1, globals: true })],
  ['machines remove', (ports) => forgetMachine(ports.registry, 'm3')],
];

/** Two units that had two texts each, and then `changes` changes of one of them, each as its own revision. */
async function busy(changes: number) {
  const desk_ = await desk();
  const { scene, command, request } = desk_;
  await command((ports) => start(ports, request('a.service', 'b.service')));
  for (const name of ['a.service', 'b.service']) await scene.write(name, `${SLEEP}# more\n`);
  await command((ports) => start(ports, request('a.service', 'b.service')));
  const backups = new Map<number, Buffer>();
  for (let round = 0; round < changes; round++) {
    backups.set(await desk_.revision(), desk_.read());
    if (round % 2 === 0) await command((ports) => stop(ports, ['a.service']));
    else await command((ports) => start(ports, request('a.service')));
  }
  return { ...desk_, backups, latest: await desk_.revision() };
}

describe.each([1, 10, 100])('a registry that is %i revisions older than its machines', (late) => {
  it('is not changed by any command, however often it is tried, and can be read', async () => {
    const { backups, latest, ...desk_ } = await busy(late + 1);
    const { scene, command } = desk_;
    const current = desk_.read();
    const old = backups.get(latest - late);
    if (old === undefined) throw new Error('there is no such revision');
    desk_.restore(old);
    const before = scene.there();
    const messages = new Set<string>();
    scene.machines.disconnect('m3');
    for (const [, change] of [...CHANGES, ...CHANGES]) {
      const error: unknown = await command((ports) => change(ports, desk_)).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'registry-outdated' });
      messages.add(error instanceof Error ? error.message : '');
      expect(desk_.read().equals(old)).toBe(true);
    }
    expect([...messages]).toEqual([
      expect.stringMatching(
        `it is at revision ${latest - late}, and machine "m1" has seen revision ${latest}$`,
      ),
    ]);
    await expect(stop(desk_.preview(), ['a.service'])).rejects.toMatchObject({ code: 'registry-outdated' });
    expect((await command((ports) => withMachineSnapshots(ports, listUnits))).rows).toHaveLength(2);
    expect((await command((ports) => withMachineSnapshots(ports, listUnitFiles))).rows).toHaveLength(2);
    expect((await command((ports) => withMachineSnapshots(ports, listMachines))).rows).toHaveLength(3);
    expect(await command(({ registry }) => cat(registry, 'a.service'))).toHaveLength(1);
    expect((await command(({ registry }) => history(registry, 'a.service'))).rows).toHaveLength(2);
    const events = await command(({ registry }) => listEvents(registry, { about: [], lines: undefined }));
    expect(events.length).toBeGreaterThan(1);
    expect([desk_.read().equals(old), scene.there()]).toEqual([true, before]);

    scene.machines.of('m3').unreachable = undefined;
    desk_.restore(current);
    for (const [, change] of CHANGES) await command((ports) => change(ports, desk_));
    expect(await desk_.revision()).toBeGreaterThan(latest);
  });
});

describe('a registry from before a unit was destroyed', () => {
  it('is detected by the record of that unit on the machine', async () => {
    const { scene, command, request, read, restore } = await desk();
    await command((ports) => start(ports, request('a.service', 'b.service')));
    const old = read();
    await command((ports) => destroy(ports, ['b.service']));
    restore(old);
    await expect(command((ports) => stop(ports, ['a.service']))).rejects.toMatchObject({
      code: 'registry-outdated',
    });
    expect(read().equals(old)).toBe(true);
    expect(scene.there()).toEqual({ m1: ['a.service running'] });
  });
});

describe('the comparison', () => {
  async function looks(scene: Scene, work: () => Promise<unknown>): Promise<number> {
    const m1 = scene.machines.of('m1');
    const before = m1.looks;
    await work();
    return m1.looks - before;
  }

  it('costs no second look at a machine', async () => {
    const { scene, command, request } = await desk();
    expect(await looks(scene, () => command((ports) => start(ports, request('a.service'))))).toBe(1);
    expect(await looks(scene, () => command((ports) => stop(ports, ['a.service'])))).toBe(1);
    expect(await looks(scene, () => command((ports) => reconcileEverything(ports)))).toBe(1);
    expect(await looks(scene, () => command((ports) => destroy(ports, ['a.service'])))).toBe(1);
  });

  it('is not made where nothing is stored', async () => {
    const { scene, command, request } = await desk();
    await command((ports) => submitUnits(ports, request('a.service')));
    expect(await looks(scene, () => command((ports) => submitUnits(ports, request('a.service'))))).toBe(0);
  });

  it('waits once for an unreachable machine, and continues without it', async () => {
    const { scene, command, request } = await desk();
    scene.machines.disconnect('m3');
    const { results } = await command((ports) => start(ports, request('a.service')));
    expect(results).toEqual([expect.objectContaining({ unit: 'a.service', failures: [] })]);
  });

  it('asks a machine that does not answer no second time, and measures no longer silence by it', async () => {
    const { scene } = await desk();
    await scene.start('a.service');
    scene.machines.disconnect('m3');
    let asked = 0;
    const counting = (ports: Ports): Ports => ({
      ...ports,
      driver: {
        ...ports.driver,
        connect: (machine) => {
          if (machine.name === 'm3') asked++;
          return ports.driver.connect(machine);
        },
      },
    });
    await reconcileEverything(guarded(counting(scene.ports)));
    expect(asked).toBe(1);
    await stop(guarded(counting(scene.ports)), ['a.service']);
    expect(asked).toBe(2);
  });

  it('is not disturbed by others who change things at the same time', async () => {
    const { command, request } = await desk();
    await command((ports) => start(ports, request('a.service', 'b.service')));
    const rounds = Array.from({ length: 20 }, (_, round) => round);
    await Promise.all(
      ['a.service', 'b.service'].map(async (unit) => {
        for (const round of rounds)
          await command((ports) => (round % 2 ? start(ports, request(unit)) : stop(ports, [unit])));
      }),
    );
  });
});
