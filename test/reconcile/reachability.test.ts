import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { idOf, NOW, TTL_MS } from '../support/builders.ts';
import { decisionsOf, failuresOf, Scene } from './scene.ts';

const FIVE = ['m1', 'm2', 'm3', 'm4', 'm5'];

/** Five machines, with a unit on the first. */
async function arrange(): Promise<Scene> {
  const scene = new Scene(FIVE);
  await scene.want('launched', '', 'a.service');
  await scene.pass();
  return scene;
}

const tokenOf = async (scene: Scene): Promise<number> =>
  (await scene.registry.load()).units.get('a.service')?.token ?? 0;

describe('a machine that is unreachable', () => {
  it('keeps its units while it may come back', async () => {
    const scene = await arrange();
    scene.driver.disconnect('m1');
    for (const ms of [0, TTL_MS / 2, TTL_MS - 1]) {
      scene.clock.time = NOW + ms;
      const report = await scene.pass();
      expect([ms, decisionsOf(report), failuresOf(report)]).toEqual([
        ms,
        ['a.service keep'],
        ['a.service m1 unreachable'],
      ]);
    }
    expect(scene.there()).toEqual(['m1 a.service running']);
  });

  it('is unreachable since it was first found so, however often and by whomever', async () => {
    const scene = await arrange();
    scene.driver.disconnect('m1');
    await scene.pass();
    scene.clock.time += TTL_MS / 3;
    const { snapshot } = await scene.pass();
    expect(snapshot.machines[0]?.unreachable).toMatchObject({
      since: NOW,
      code: 'ssh-timeout',
      hint: 'Wait',
    });
    expect((await scene.registry.load()).machines.get('m1')).toEqual({
      id: idOf('m1'),
      silence: { at: NOW, seenBy: { me: { first: NOW, last: NOW } } },
    });
  });

  it('loses its units after the ttl, to a machine that gets a higher token', async () => {
    const scene = await arrange();
    const before = await tokenOf(scene);
    scene.driver.disconnect('m1');
    await scene.pass();
    scene.clock.time += TTL_MS;
    const report = await scene.pass();
    expect([decisionsOf(report), failuresOf(report)]).toEqual([['a.service move'], []]);
    expect(await scene.assigned('a.service')).toBe('m2');
    expect(await tokenOf(scene)).toBeGreaterThan(before);
    expect(scene.driver.of('m2').units.get('a.service')?.record?.token).toBe(await tokenOf(scene));
  });

  it('that was reachable in between starts again', async () => {
    const scene = await arrange();
    scene.driver.disconnect('m1');
    await scene.pass();
    scene.clock.time += TTL_MS - 1;
    scene.driver.heal('m1');
    await scene.pass();
    expect((await scene.registry.load()).machines.get('m1')?.silence).toBeUndefined();
    scene.driver.disconnect('m1');
    scene.clock.time += 1;
    expect(decisionsOf(await scene.pass())).toEqual(['a.service keep']);
  });

  it('is cleaned when it returns, and the unit is not stopped where it is now', async () => {
    const scene = await arrange();
    scene.driver.disconnect('m1');
    await scene.pass();
    scene.clock.time += TTL_MS;
    await scene.pass();
    expect(scene.there()).toEqual(['m1 a.service running', 'm2 a.service running']);
    scene.driver.heal('m1');
    const report = await scene.pass();
    expect([decisionsOf(report), failuresOf(report)]).toEqual([['a.service keep'], []]);
    expect(scene.there()).toEqual(['m2 a.service running']);
    expect(scene.driver.of('m1').log.slice(-2)).toEqual(['stop a.service', 'remove a.service']);
    expect(scene.driver.of('m1').removed.get('a.service')).toBe(await tokenOf(scene));
    expect((await scene.pass()).plans).toEqual([]);
  });

  it('may become unreachable after it took the connection', async () => {
    const scene = await arrange();
    scene.driver.trouble('m1').silentOnObserve = new FleetError('remote-script', 'It says nothing');
    const report = await scene.pass();
    expect(failuresOf(report)).toEqual(['a.service m1 unreachable']);
    expect(report.snapshot.machines[0]).toMatchObject({
      id: idOf('m1'),
      unreachable: { message: 'It says nothing' },
    });
  });

  it('that was never reached has no id, and is remembered as unreachable', async () => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    scene.driver.disconnect('m3');
    await scene.want('launched', '', 'a.service');
    const { snapshot } = await scene.pass();
    expect(snapshot.machines[2]?.id).toBeUndefined();
    expect((await scene.registry.load()).machines.get('m3')).toMatchObject({ silence: { at: NOW } });
  });

  it('that refuses us is there: its units stay, however long', async () => {
    const scene = await arrange();
    scene.driver.trouble('m1').silent = new FleetError('ssh-host-key', 'Its key changed');
    await scene.pass();
    scene.clock.time += 10 * TTL_MS;
    expect(decisionsOf(await scene.pass())).toEqual(['a.service keep']);
  });
});

describe('more than half of the machines, unreachable at once,', () => {
  it('move nothing, for it is us who are cut off', async () => {
    const scene = await arrange();
    scene.driver.disconnect('m1', 'm3', 'm4');
    await scene.pass();
    scene.clock.time += 10 * TTL_MS;
    const report = await scene.pass();
    expect([decisionsOf(report), failuresOf(report)]).toEqual([
      ['a.service keep'],
      ['a.service m1 unreachable'],
    ]);
    scene.driver.heal('m4');
    expect(decisionsOf(await scene.pass())).toEqual(['a.service move']);
  });

  it('do not keep a new unit from a machine that answers', async () => {
    const scene = new Scene(FIVE);
    scene.driver.disconnect('m1', 'm2', 'm3', 'm4');
    await scene.want('launched', '', 'a.service');
    expect(decisionsOf(await scene.pass())).toEqual(['a.service place']);
    expect(scene.there()).toEqual(['m5 a.service running']);
  });

  it('may be all of them: the pass ends with a report', async () => {
    const scene = await arrange();
    scene.driver.disconnect(...FIVE);
    scene.clock.time += 10 * TTL_MS;
    expect(failuresOf(await scene.pass())).toEqual(['a.service m1 unreachable']);
  });
});
