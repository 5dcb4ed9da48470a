import { describe, expect, it } from 'vitest';
import { toDo } from '../../src/controller/to-do.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { observeCluster, withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { destroy, start, stop } from '../../src/operations/set-target-state.ts';
import { cat, history } from '../../src/operations/unit-texts.ts';
import { missingLines } from '../../src/output/report.ts';
import type { Change } from '../../src/store/store.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

const KEY = 'units/a.service';

/** Three units run, and then the document of one is changed by other means. */
async function damaged(change: 'lost' | string): Promise<Scene> {
  const scene = await makeScene();
  for (const name of ['a.service', 'b.service', 'c.service']) await scene.write(name, SLEEP);
  await scene.start('a.service', 'b.service', 'c.service');
  const ifRevision = (await scene.store.get(KEY))?.revision ?? 0;
  const damage: Change =
    change === 'lost'
      ? { kind: 'delete', key: KEY, ifRevision }
      : { kind: 'put', key: KEY, value: change, ifRevision };
  await scene.store.commit([damage]);
  return scene;
}

describe.each([
  ['of a newer fleet', '{"version":7}', 'written by a newer fleet: version 7'],
  ['damaged', '{', 'not JSON'],
  ['lost', 'lost', 'it is missing, and no command has destroyed that unit'],
])('a unit whose document is %s', (_, change, message) => {
  it('is left unchanged, and told of', async () => {
    const scene = await damaged(change);
    const before = scene.there();
    const pass = await reconcileEverything(scene.ports);
    expect(pass.plans).toEqual([]);
    expect(scene.there()).toEqual(before);
    expect(pass.unreadable).toEqual([expect.objectContaining({ unit: 'a.service' })]);
    for (const list of [
      await withMachineSnapshots(scene.ports, listUnits),
      await withMachineSnapshots(scene.ports, listUnitFiles),
    ])
      expect(missingLines(list)[0]).toMatch(new RegExp(`${message}.*; unit "a.service" is left unchanged$`));
    expect((await withMachineSnapshots(scene.ports, listUnits)).rows.map(({ unit }) => unit)).toContain(
      'a.service',
    );
    const busy = toDo(await observeCluster(scene.ports)).groups.flatMap(({ units }) => [...units]);
    expect(busy).not.toContain('a.service');
  });

  it('is in the way of no other unit', async () => {
    const scene = await damaged(change);
    expect((await stop(scene.ports, ['b.service'])).problems).toEqual([]);
    expect((await destroy(scene.ports, ['c.service'])).problems).toEqual([]);
    expect(await scene.wanted()).toEqual({ 'b.service': expect.stringMatching(/^loaded/) });
    expect((await history(scene.ports.registry, 'c.service')).rows).toHaveLength(1);
    expect(Object.values(scene.there()).flat()).toEqual(expect.arrayContaining(['a.service running']));
  });

  it('cannot be named, and the message says why', async () => {
    const scene = await damaged(change);
    const asked = await stop(scene.ports, ['a.service', 'b.service']);
    expect(asked.problems.map(({ error }) => error.message)).toEqual([expect.stringMatching(message)]);
    expect(asked.results.map(({ unit }) => unit)).toEqual(['b.service']);
    await expect(cat(scene.ports.registry, 'a.service')).rejects.toThrow(message);
  });
});

describe('a unit that is submitted again', () => {
  it.each(['lost', '{'])('is known from then on (%s)', async (change) => {
    const scene = await damaged(change);
    await start(scene.ports, { units: ['a.service'], cwd: scene.cwd, replace: false });
    expect((await reconcileEverything(scene.ports)).unreadable).toEqual([]);
    expect(
      Object.values(scene.there())
        .flat()
        .filter((each) => each === 'a.service running'),
    ).toHaveLength(1);
    await destroy(scene.ports, ['a.service']);
    expect(Object.values(scene.there()).flat()).not.toContain('a.service running');
  });

  it('is refused where a newer fleet knows more of it', async () => {
    const scene = await damaged('{"version":7}');
    const { problems } = await start(scene.ports, { units: ['a.service'], cwd: scene.cwd, replace: true });
    expect(problems.map(({ error }) => error.code)).toEqual(['registry-newer']);
    expect((await scene.store.get(KEY))?.value).toBe('{"version":7}');
  });
});

describe('a registry without its cluster', () => {
  it('is damaged, and nothing is stored in it', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.write('b.service', SLEEP);
    await scene.start('a.service');
    const ifRevision = (await scene.store.get('cluster'))?.revision ?? 0;
    await scene.store.commit([{ kind: 'delete', key: 'cluster', ifRevision }]);
    const { revision } = await scene.store.list('');
    const missing = 'Cannot read "cluster" of the registry: it is missing';
    await expect(scene.submit(['b.service'])).rejects.toThrow(missing);
    await expect(scene.start('a.service')).rejects.toThrow(missing);
    await expect(reconcileEverything(scene.ports)).rejects.toThrow(missing);
    expect((await scene.store.list('')).revision).toBe(revision);
    expect(await cat(scene.ports.registry, 'a.service')).toHaveLength(1);
  });
});
