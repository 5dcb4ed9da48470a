import { describe, expect, it } from 'vitest';
import { followEvents, listEvents } from '../../src/operations/list-events.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { restart } from '../../src/operations/restart.ts';
import { destroy, start, stop } from '../../src/operations/set-target-state.ts';
import { eventJson, eventLine } from '../../src/output/events.ts';
import { TTL_MS } from '../support/builders.ts';
import { FALSE, makeScene, type Scene, SLEEP } from './scene.ts';

async function told(scene: Scene, ...about: readonly string[]): Promise<readonly string[]> {
  const rows = await listEvents(scene.ports.registry, { about, lines: undefined });
  return rows.map(eventLine);
}

describe('events', () => {
  it('tell the story of a unit', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.start('a.service');
    scene.machines.disconnect('m1');
    scene.clock.time += 1000;
    await reconcileEverything(scene.ports);
    scene.clock.time += TTL_MS;
    await reconcileEverything(scene.ports);
    scene.machines.of('m1').unreachable = undefined;
    scene.clock.time += 60_000;
    await reconcileEverything(scene.ports);
    await stop(scene.ports, ['a']);
    await destroy(scene.ports, ['a']);
    const lines = (await told(scene)).map((line) => line.replace(/^2024-01-01T/, ''));
    expect(lines).toEqual([
      expect.stringMatching(/^00:00:00Z {2}a.service has a new text, [0-9a-f]{7} {2}\(me@here\)$/),
      '00:00:00Z  a.service shall be launched  (me@here)',
      '00:00:00Z  a.service goes to m1  (me@here)',
      '00:00:01Z  m1 does not answer: Cannot reach machine "m1"  (me@here)',
      '00:00:31Z  a.service moves from m1 to m2: the machine has not answered for 30s: Cannot reach machine "m1"  (me@here)',
      '00:01:31Z  m1 answers again after 90s  (me@here)',
      '00:01:31Z  a.service shall be loaded  (me@here)',
      '00:01:31Z  a.service shall be inactive  (me@here)',
      '00:01:31Z  a.service is destroyed  (me@here)',
    ]);
  });

  it('tell how it went: a failure once, the success after it, and restarts', async () => {
    const scene = await makeScene();
    const lines = async (): Promise<readonly string[]> =>
      (await told(scene, 'a'))
        .map((line) => line.replace(/^\S+ {2}/, ''))
        .filter((line) => !/shall|text|goes/.test(line));
    await scene.write('a.service', FALSE);
    await scene.start('a.service');
    const first = [
      'a.service failed on m1: it did not stay up: failed (failed), result exit-code, exit status 1  (me@here)',
    ];
    expect(await lines()).toEqual(first);
    const { revision } = await scene.ports.registry.load();
    for (let again = 0; again < 3; again++) await reconcileEverything(scene.ports);
    expect([await lines(), (await scene.ports.registry.load()).revision]).toEqual([first, revision]);
    await scene.write('a.service', SLEEP);
    await start(scene.ports, { units: ['a.service'], cwd: scene.cwd, replace: true });
    await restart(scene.ports, ['a.service'], 1);
    expect((await lines()).slice(1)).toEqual([
      'a.service is as it should be on m1 again  (me@here)',
      'a.service was restarted on m1  (me@here)',
    ]);
    const rows = await listEvents(scene.ports.registry, { about: [], lines: undefined });
    const [failed] = rows.map(eventJson).filter((row) => Object(row).event === 'failed');
    expect(failed).toMatchObject({
      event: 'failed',
      unit: 'a.service',
      machine: 'm1',
      failure: 'not-up',
      reason: expect.stringMatching(/exit status 1$/),
    });
  });

  it('are found by unit, with or without its suffix, by glob and by machine', async () => {
    const scene = await makeScene();
    for (const name of ['web@1.service', 'web@2.service', 'db.service']) {
      await scene.write(name, SLEEP);
      await scene.start(name);
    }
    expect(await told(scene, 'db')).toEqual(await told(scene, 'db.service'));
    expect(await told(scene, 'db')).toHaveLength(3);
    expect(await told(scene, 'web@*')).toHaveLength(6);
    expect(await told(scene, 'm2')).toEqual([expect.stringContaining('web@2.service goes to m2')]);
    expect(await listEvents(scene.ports.registry, { about: [], lines: 2 })).toHaveLength(2);
    expect(await listEvents(scene.ports.registry, { about: [], lines: 0 })).toEqual([]);
  });

  it('are kept to the last 500 changes', async () => {
    const scene = await makeScene();
    const { registry } = scene.ports;
    for (let turn = 0; turn < 510; turn++) {
      scene.clock.time += 1;
      await registry.update(() => [{ kind: 'log', events: [{ kind: 'uncordon', machine: `m${turn}` }] }]);
    }
    const { events } = await registry.load();
    expect(events).toHaveLength(500);
    expect(events[0]?.events).toEqual([{ kind: 'uncordon', machine: 'm10' }]);
  });

  it('are followed as they happen, each told once', async () => {
    const scene = await makeScene();
    const { registry } = scene.ports;
    const end = new AbortController();
    const log = (machine: string) =>
      registry.update(() => [{ kind: 'log', events: [{ kind: 'uncordon', machine }] }]);
    await log('before');
    const seen: string[] = [];
    for await (const rows of followEvents(registry, { about: [], lines: undefined }, end.signal)) {
      for (const { event } of rows) if ('machine' in event) seen.push(event.machine);
      if (seen.length === 1) void log('first').then(() => log('second'));
      if (seen.length === 3) end.abort();
    }
    expect(seen).toEqual(['before', 'first', 'second']);
  });

  it('are objects for programs', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.start('a.service');
    const rows = await listEvents(scene.ports.registry, { about: ['m1'], lines: undefined });
    expect(rows.map(eventJson)).toEqual([
      {
        time: '2024-01-01T00:00:00Z',
        by: 'me@here',
        event: 'place',
        unit: 'a.service',
        to: { id: expect.stringMatching(/^[0-9a-f-]{36}$/), name: 'm1' },
      },
    ]);
  });

  it('of a kind that only a newer fleet knows are shown unchanged', () => {
    const event = { kind: 'teleport', unit: 'a.service' } as never;
    expect(eventLine({ at: 0, by: 'me@here', event })).toBe(
      '1970-01-01T00:00:00Z  teleport {"unit":"a.service"}  (me@here)',
    );
  });
});
