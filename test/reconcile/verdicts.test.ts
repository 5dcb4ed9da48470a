import { describe, expect, it } from 'vitest';
import type { Failure } from '../../src/cluster/failure.ts';
import { type SystemdState, unknownState } from '../../src/cluster/unit-state.ts';
import { desiredUnit, NOW, recordOf, systemdState } from '../support/builders.ts';
import { Scene } from './scene.ts';

const NAME = 'a.service';

/** A scene in which nothing is known of a text that is on m1 in that state. */
async function sceneWith(state: SystemdState): Promise<Scene> {
  const scene = new Scene(['m1']);
  await scene.want('launched', '', NAME);
  const unit = desiredUnit(NAME);
  scene.driver.of('m1').units.set(NAME, { text: unit.text, record: recordOf(unit), state });
  return scene;
}

/** What the registry knows of the texts of a.service, oldest first. */
async function known({ registry }: Scene): Promise<readonly string[]> {
  const view = await registry.load();
  return view.history(NAME).map(({ digest }) => view.verdicts(NAME)[digest]?.kind ?? 'untried');
}

const notUp = (state: SystemdState): Failure => ({ code: 'not-up', state, detail: '', journal: [] });

describe('a text', () => {
  it('that came up is good, which is written once', async () => {
    const scene = new Scene(['m1']);
    await scene.want('launched', '', NAME);
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good']);
    const { revision } = await scene.registry.load();
    await scene.pass(NAME);
    await scene.pass();
    expect((await scene.registry.load()).revision).toBe(revision);
  });

  it('that is only loaded is untried', async () => {
    const scene = new Scene(['m1']);
    await scene.want('loaded', '', NAME);
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['untried']);
  });

  it.each<readonly [string, Failure, string]>([
    ['that failed', notUp(systemdState('failed')), 'failed'],
    ['that systemd starts again and again', notUp(systemdState('restarting')), 'failed'],
    [
      'that systemd 254 is about to start again',
      notUp(systemdState('restarting', { sub: 'auto-restart-queued' })),
      'failed',
    ],
    ['that systemd cannot read', notUp(systemdState('dead', { load: 'bad-setting' })), 'failed'],
    ['that something else has stopped', notUp(systemdState('dead')), 'untried'],
    ['whose start is still under way', notUp(systemdState('starting')), 'untried'],
    ['whose state is not known', notUp(unknownState('it said nothing')), 'untried'],
    ['that could not be written', { code: 'step', step: 'write', detail: 'disk full' }, 'untried'],
    [
      'whose machine did not answer',
      { code: 'unreachable', message: '', hint: undefined, mayBeDown: true },
      'untried',
    ],
  ])('%s', async (_, failure, result) => {
    const scene = new Scene(['m1']);
    await scene.want('launched', '', NAME);
    scene.driver.trouble('m1').failing.set(NAME, failure);
    await scene.pass(NAME);
    expect(await known(scene)).toEqual([result]);
  });

  it('that was up already is good after a minute', async () => {
    const scene = await sceneWith(systemdState('running', { since: NOW - 10_000 }));
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['untried']);
    scene.clock.time += 50_000;
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good']);
  });

  it('of a oneshot that was seen to have succeeded is good at once', async () => {
    const scene = await sceneWith(systemdState('finished', { since: NOW }));
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good']);
  });

  it('that was up for long when another one replaced it is good', async () => {
    const scene = await sceneWith(systemdState('running', { since: NOW - 3_600_000 }));
    await scene.want('launched', 'MachineMetadata=name=m1', NAME);
    scene.driver.trouble('m1').failing.set(NAME, notUp(systemdState('failed')));
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good', 'failed']);
  });

  it('that was good stays good when it fails later', async () => {
    const scene = new Scene(['m1']);
    await scene.want('launched', '', NAME);
    await scene.pass(NAME);
    scene.driver.of('m1').units.delete(NAME);
    scene.driver.trouble('m1').failing.set(NAME, notUp(systemdState('failed')));
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good']);
  });

  it('that failed and came up later by itself is good, and one that was up before is not', async () => {
    const scene = new Scene(['m1']);
    await scene.want('launched', '', NAME);
    const failing = scene.driver.trouble('m1').failing.set(NAME, notUp(systemdState('restarting')));
    await scene.pass(NAME);
    failing.clear();
    const unit = desiredUnit(NAME);
    const runs = (since: number): void => {
      const state = systemdState('running', { since });
      scene.driver.of('m1').units.set(NAME, { text: unit.text, record: recordOf(unit), state });
    };
    scene.clock.time += 120_000;
    runs(NOW - 1);
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['failed']);
    runs(NOW + 1);
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good']);
  });

  it('that fails on one machine while it is up on another stays good, and is failed otherwise', async () => {
    const scene = new Scene(['m1', 'm2']);
    await scene.want('launched', 'Global=true', NAME);
    const failing = scene.driver.trouble('m2').failing.set(NAME, notUp(systemdState('failed')));
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['failed']);
    failing.clear();
    await scene.registry.update(() => [{ kind: 'release-text', unit: NAME }]);
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good']);
    scene.driver.of('m2').units.delete(NAME);
    failing.set(NAME, notUp(systemdState('failed')));
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['good']);
  });

  it('that another user stopped during its start has not failed', async () => {
    const scene = new Scene(['m1']);
    const other = new Scene(['m1'], scene.store, scene);
    await scene.want('launched', '', NAME);
    scene.driver.trouble('m1').failing.set(NAME, notUp(systemdState('failed', { result: 'signal' })));
    const connect = scene.driver.connect.bind(scene.driver);
    scene.driver.connect = (target) => {
      const session = connect(target);
      const change: typeof session.change = async (...given) => {
        const outcomes = await session.change(...given);
        await other.want('loaded', '', NAME);
        return outcomes;
      };
      return { ...session, change };
    };
    await scene.pass(NAME);
    expect(await known(scene)).toEqual(['untried']);
  });
});
