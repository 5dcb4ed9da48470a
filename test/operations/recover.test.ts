import { describe, expect, it } from 'vitest';
import { recoverStatus } from '../../src/cli/exit-status.ts';
import { destroy } from '../../src/operations/destroy.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { recover } from '../../src/operations/recover.ts';
import { start } from '../../src/operations/set-target-state.ts';
import { recoverReport } from '../../src/output/recover.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { desiredUnit, recordOf, systemdState } from '../support/builders.ts';
import type { FakeUnit } from '../support/fake-machines.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

/** a is launched on m1, b loaded on m2, everywhere a global unit; a template and a unit are nowhere. */
async function populated(): Promise<Scene> {
  const scene = await makeScene();
  await scene.write('a.service', `# kept to the byte\n${SLEEP}\n\n`);
  await scene.write('b.service', SLEEP);
  await scene.write('everywhere.service', GLOBAL);
  await scene.write('web@.service', SLEEP);
  await scene.submit(['web@.service']);
  await scene.start('a', 'everywhere');
  await scene.load('b');
  return scene;
}

/** The same machines, and a registry that knows nothing. */
function lost(scene: Scene): Scene {
  const registry = createRegistry(createMemoryStore(), { clock: scene.edges.clock, author: 'me@here' });
  const edges = { ...scene.edges, registry };
  return { ...scene, edges };
}

async function recovered(scene: Scene): Promise<readonly string[]> {
  const result = await recover(scene.edges);
  const { out, err } = recoverReport(result, false);
  const lines = [...out, ...err].filter((line) => !line.startsWith('hint: Templates'));
  const plain = lines.map((line) =>
    line.replace(/[0-9a-f]{8}\.\.\./, '').replace(/cluster [0-9a-f-]{36}/, 'cluster'),
  );
  return [...plain, `status ${recoverStatus(result)}`];
}

const ALL = [
  'Recovered unit a.service: launched on /10.0.0.1',
  'Recovered unit b.service: loaded on /10.0.0.2',
  'Recovered unit everywhere.service: launched on 3 machines',
  'Recovered cluster',
];

function unitOn(scene: Scene, machine: string, name: string): FakeUnit {
  const unit = scene.machines.of(machine).units.get(name);
  if (unit === undefined) throw new Error(`${name} is not on ${machine}`);
  return unit;
}

describe('recover', () => {
  it('finds what was on machines: texts to the byte, target states, places, the id of the cluster', async () => {
    const before = await populated();
    const scene = lost(before);
    expect(await recovered(scene)).toEqual([...ALL, 'status 0']);
    const [old, now] = await Promise.all([before.edges.registry.load(), scene.edges.registry.load()]);
    expect(now.clusterId).toBe(old.clusterId);
    for (const name of ['a.service', 'b.service', 'everywhere.service']) {
      const { token: _before, ...wanted } = old.units.get(name) ?? desiredUnit('no');
      const { token: _now, ...found } = now.units.get(name) ?? desiredUnit('no');
      expect(found).toEqual(wanted);
    }
    expect(now.units.size).toBe(3);
  });

  it('gives tokens above all that machines have seen, of removed units too', async () => {
    const before = await populated();
    await before.write('gone.service', SLEEP);
    for (let turn = 0; turn < 20; turn++) {
      await before.start('gone');
      await destroy(before.edges, ['gone']);
    }
    const request = { names: [], digests: false, backup: true };
    const seen = ['m1', 'm2', 'm3'].map(
      (name) => before.machines.of(name).observe(request).backup?.token ?? 0,
    );
    expect(Math.max(...seen)).toBeGreaterThan(40);
    const scene = lost(before);
    await recover(scene.edges);
    const view = await scene.edges.registry.load();
    expect(view.revision).toBe(1);
    for (const { token } of view.units.values()) expect(token).toBeGreaterThan(Math.max(...seen));
    const { results } = await reconcileEverything(scene.edges);
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
    await scene.write('gone.service', SLEEP);
    const again = await start(scene.edges, { units: ['gone'], cwd: scene.cwd, replace: false });
    expect(again.results.map(({ failures }) => failures)).toEqual([[]]);
  });

  it('leaves a cluster where nothing moves and nothing is restarted', async () => {
    const scene = lost(await populated());
    await recover(scene.edges);
    const { plans } = await reconcileEverything(scene.edges);
    const kinds = plans.flatMap(({ changes }) =>
      changes.flatMap(({ steps }) => steps.map(({ kind }) => kind)),
    );
    expect(new Set(kinds)).toEqual(new Set(['record']));
    expect((await reconcileEverything(scene.edges)).plans).toEqual([]);
  });

  it('takes the later decision where a unit is on two machines, and tells of the other', async () => {
    const before = await populated();
    const copy = desiredUnit('a.service', '', { text: SLEEP, token: 1 });
    const state = systemdState('running');
    before.machines.of('m3').units.set('a.service', { text: SLEEP, record: recordOf(copy), state });
    const scene = lost(before);
    expect(await recovered(scene)).toEqual([
      ...ALL,
      'Warning: unit "a.service" is also on machine "m3" (10.0.0.3), by an older decision',
      'status 0',
    ]);
    expect((await scene.edges.registry.load()).units.get('a.service')?.text).toContain('kept to the byte');
  });

  it('takes the later text of a global unit, and an unedited copy of it', async () => {
    const before = await populated();
    const older = desiredUnit('everywhere.service', '', { text: `${GLOBAL}# old\n`, token: 1 });
    Object.assign(unitOn(before, 'm2', 'everywhere.service'), { text: older.text, record: recordOf(older) });
    unitOn(before, 'm1', 'everywhere.service').text = '[Service]\nExecStart=/bin/edited\n';
    const scene = lost(before);
    expect(await recovered(scene)).toEqual([
      ...ALL,
      'Warning: the file of unit "everywhere.service" was edited or removed on machine "m1" (10.0.0.1)',
      'Warning: unit "everywhere.service" has another text on machine "m2" (10.0.0.2), by an older decision',
      'status 0',
    ]);
    expect((await scene.edges.registry.load()).units.get('everywhere.service')?.text).toBe(GLOBAL);
  });

  it('takes an edited file when there is no other, and cannot do without one', async () => {
    const before = await populated();
    unitOn(before, 'm1', 'a.service').text = `${SLEEP}# edited\n`;
    unitOn(before, 'm2', 'b.service').text = undefined;
    expect(await recovered(lost(before))).toEqual([
      ...ALL.filter((line) => !line.includes('b.service')),
      'Warning: the file of unit "a.service" was edited or removed on machine "m1" (10.0.0.1)',
      'Error: Cannot recover unit "b.service": its file is gone from machine "m2" (10.0.0.2)',
      'status 1',
    ]);
  });

  it('stores nothing while a machine is silent: its units would count as unwanted', async () => {
    const scene = lost(await populated());
    scene.machines.silence('m2');
    expect(await recovered(scene)).toEqual([
      'Warning: Cannot reach machine "m2"; what it runs is unknown',
      'Error: Cannot recover the registry: all machines have to answer, for units that are not found would count as unwanted',
      'hint: Try again when they answer; a machine that is gone for good is first removed from fleet.conf',
      'status 5',
    ]);
    expect((await scene.edges.registry.load()).revision).toBe(0);
  });
});

describe('recover is refused', () => {
  it.each<[string, RegExp, (scene: Scene) => Scene | Promise<Scene>]>([
    ['into a registry that is there', /there is one, and it is not empty/, (scene) => scene],
    [
      'when machines belong to different clusters',
      /machine "m1" belongs to cluster \S+, machine "m2" to other/,
      (scene) => {
        scene.machines.of('m2').cluster = 'other';
        return lost(scene);
      },
    ],
    ['when no machine belongs to one', /no machine of fleet.conf belongs to a cluster/, () => makeScene()],
    [
      'when a file makes no sense: the registry could not be read with it',
      /Cannot recover unit "a.service" from machine "m1"/,
      (scene) => {
        unitOn(scene, 'm1', 'a.service').text = `${SLEEP}[X-Fleet]\nGlobal=maybe\n`;
        return lost(scene);
      },
    ],
  ])('%s', async (_title, message, prepare) => {
    const scene = await prepare(await populated());
    const { revision } = await scene.edges.registry.load();
    await expect(recover(scene.edges)).rejects.toMatchObject({
      code: 'not-recoverable',
      message: expect.stringMatching(message),
    });
    expect((await scene.edges.registry.load()).revision).toBe(revision);
  });
});
