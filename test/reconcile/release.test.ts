import { describe, expect, it } from 'vitest';
import { idOf } from '../support/builders.ts';
import { decisionsOf, failuresOf, Scene, WRITE_FAILED } from './scene.ts';

/** Three machines; a.service runs on m1. */
async function arrange(): Promise<Scene> {
  const scene = new Scene(['m1', 'm2', 'm3']);
  await scene.want('launched', '', 'a.service');
  await scene.pass();
  return scene;
}

describe('a unit that is unloaded', () => {
  it('loses its assignment once it is gone', async () => {
    const scene = await arrange();
    await scene.want('inactive', '', 'a.service');
    const report = await scene.pass('a.service');
    expect([decisionsOf(report), failuresOf(report)]).toEqual([['a.service release'], []]);
    expect([await scene.assigned('a.service'), scene.there()]).toEqual([undefined, []]);
  });

  it('keeps it while its machine is unreachable, and loses it when that returns', async () => {
    const scene = await arrange();
    await scene.want('inactive', '', 'a.service');
    scene.driver.disconnect('m1');
    expect(failuresOf(await scene.pass('a.service'))).toEqual(['a.service m1 unreachable']);
    expect(await scene.assigned('a.service')).toBe('m1');
    scene.driver.heal('m1');
    expect(failuresOf(await scene.pass('a.service'))).toEqual([]);
    expect([await scene.assigned('a.service'), scene.there()]).toEqual([undefined, []]);
  });

  it.each(['before', 'after'] as const)('keeps it when its machine is lost %s it stopped', async (when) => {
    const scene = await arrange();
    await scene.want('inactive', '', 'a.service');
    scene.driver.trouble('m1').lostOnChange = when;
    expect(failuresOf(await scene.pass('a.service'))).toEqual(['a.service m1 unreachable']);
    expect(await scene.assigned('a.service')).toBe('m1');
    delete scene.driver.trouble('m1').lostOnChange;
    await scene.pass('a.service');
    expect([await scene.assigned('a.service'), scene.there()]).toEqual([undefined, []]);
  });

  it('keeps it when it would not stop; others lose theirs', async () => {
    const scene = await arrange();
    await scene.want('launched', '', 'b.service');
    await scene.pass();
    await scene.want('inactive', '', 'a.service', 'b.service');
    scene.driver.trouble('m1').failing.set('a.service', WRITE_FAILED);
    expect(failuresOf(await scene.pass())).toEqual(['a.service m1 step']);
    expect([await scene.assigned('a.service'), await scene.assigned('b.service')]).toEqual(['m1', undefined]);
  });

  it('loses it when its machine was removed, and not when a fleet.conf lacks it', async () => {
    const scene = await arrange();
    await scene.want('inactive', '', 'a.service');
    const smaller = new Scene(['m2', 'm3'], scene.store, scene);
    expect(failuresOf(await smaller.pass('a.service'))).toEqual(['a.service m1 unreachable']);
    expect(await smaller.assigned('a.service')).toBe(idOf('m1'));
    await smaller.registry.update(() => [{ kind: 'delete-machine', name: 'm1' }]);
    expect(failuresOf(await smaller.pass('a.service'))).toEqual([]);
    expect(await smaller.assigned('a.service')).toBeUndefined();
  });

  it('keeps it when it is launched again before it is released', async () => {
    const scene = await arrange();
    await scene.want('inactive', '', 'a.service');
    const change = scene.driver.of('m1').change.bind(scene.driver.of('m1'));
    const wanted: Promise<unknown>[] = [];
    scene.driver.of('m1').change = (...args) => {
      wanted.push(scene.want('launched', '', 'a.service'));
      return change(...args);
    };
    await scene.pass('a.service');
    await Promise.all(wanted);
    expect(await scene.assigned('a.service')).toBe('m1');
    scene.driver.of('m1').change = change;
    await scene.pass('a.service');
    expect(scene.there()).toEqual(['m1 a.service running']);
  });

  it('keeps it when it was launched, started and stopped again in between', async () => {
    const scene = await arrange();
    await scene.want('inactive', '', 'a.service');
    const others = new Scene(['m1', 'm2', 'm3'], scene.store);
    const update = scene.registry.update.bind(scene.registry);
    let turns = 0;
    // Between what this pass did and what it notes of it.
    Object.assign(scene.registry, {
      update: async (decide: Parameters<typeof update>[0]) => {
        turns += 1;
        if (turns === 2)
          for (const target of ['launched', 'inactive'] as const) await others.want(target, '', 'a.service');
        return update(decide);
      },
    });
    await scene.pass('a.service');
    expect(turns).toBe(2);
    expect(await scene.assigned('a.service')).toBe('m1');
  });

  it('that is global is gone when it is gone everywhere', async () => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    await scene.want('launched', 'Global=true', 'g.service');
    await scene.pass();
    await scene.want('inactive', 'Global=true', 'g.service');
    scene.driver.disconnect('m2');
    expect(failuresOf(await scene.pass('g.service'))).toEqual(['g.service m2 unreachable']);
    expect(scene.there()).toEqual(['m2 g.service running']);
    scene.driver.heal('m2');
    expect(failuresOf(await scene.pass('g.service'))).toEqual([]);
    expect(scene.there()).toEqual([]);
  });
});

describe('a unit that is stopped', () => {
  it('keeps its machine', async () => {
    const scene = await arrange();
    await scene.want('loaded', '', 'a.service');
    expect(decisionsOf(await scene.pass('a.service'))).toEqual(['a.service keep']);
    expect([await scene.assigned('a.service'), scene.there()]).toEqual(['m1', ['m1 a.service dead']]);
  });
});

it('a unit that its new machine refuses as foreign is assigned to no machine', async () => {
  const scene = new Scene(['m1', 'm2']);
  await scene.want('launched', '', 'a.service');
  scene.driver.trouble('m1').failing.set('a.service', { code: 'foreign', path: '/x' });
  expect(failuresOf(await scene.pass('a.service'))).toEqual(['a.service m1 foreign']);
  expect(await scene.assigned('a.service')).toBeUndefined();
});
