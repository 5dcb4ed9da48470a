import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { restart } from '../../src/operations/restart.ts';
import { rollback } from '../../src/operations/rollback.ts';
import { destroy, load, start, stop, submitUnits, unload } from '../../src/operations/set-target-state.ts';
import type { RequestResult } from '../../src/operations/unit-result.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { createRegistry, withWholeViews } from '../../src/registry/registry.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { FALSE, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

/** Two people with one registry and the same machines; a.service is there, inactive. */
async function people(): Promise<{ readonly scene: Scene; readonly me: Ports; readonly bob: Ports }> {
  const scene = await makeScene();
  const store = createMemoryStore();
  const of = (author: string): Ports => ({
    ...scene.ports,
    registry: createRegistry(store, { clock: scene.clock, author }),
  });
  const [me, bob] = [of('me@here'), of('bob@desk')];
  await scene.write('a.service', SLEEP);
  await submitUnits(me, { units: ['a'], cwd: scene.cwd, replace: false });
  return { scene, me, bob };
}

/** The ports of a command that another one overtakes: `act` runs once, after the first change was stored. */
function overtaken(ports: Ports, act: () => Promise<unknown>): Ports {
  let left = 1;
  const registry = withWholeViews({
    ...ports.registry,
    async change(decide, use) {
      const result = await ports.registry.change(decide, use);
      if (left-- > 0) await act();
      return result;
    },
  });
  return { ...ports, registry };
}

const words = ({ problems }: RequestResult): readonly string[] => problems.map(({ error }) => error.message);

describe('a command that another one overrules', () => {
  it.each<
    readonly [
      string,
      (me: Ports, cwd: string) => Promise<RequestResult>,
      (bob: Ports, cwd: string) => Promise<unknown>,
      string,
    ]
  >([
    [
      'start by stop',
      (me, cwd) => start(me, { units: ['a'], cwd, replace: false }),
      (bob) => stop(bob, ['a']),
      'Unit "a.service" was stopped by bob@desk 2s ago; its target state is loaded',
    ],
    [
      'load by unload',
      (me, cwd) => load(me, { units: ['a'], cwd, replace: false }),
      (bob) => unload(bob, ['a']),
      'Unit "a.service" was unloaded or destroyed by bob@desk 2s ago; its target state is inactive',
    ],
    [
      'start by destroy',
      (me, cwd) => start(me, { units: ['a'], cwd, replace: false }),
      (bob) => destroy(bob, ['a']),
      'Unit "a.service" was destroyed by bob@desk 2s ago',
    ],
    [
      'unload by start',
      async (me) => unload(me, ['a']),
      (bob, cwd) => start(bob, { units: ['a'], cwd, replace: false }),
      'Unit "a.service" was started by bob@desk 2s ago; its target state is launched',
    ],
  ])('says who did it: %s', async (_, mine, theirs, message) => {
    const { scene, me, bob } = await people();
    const first = message.includes('was started')
      ? [start(bob, { units: ['a'], cwd: scene.cwd, replace: false })]
      : [];
    await Promise.all(first);
    const act = async (): Promise<void> => {
      await theirs(bob, scene.cwd);
      scene.clock.time += 2000;
    };
    const request = await mine(overtaken(me, act), scene.cwd);
    expect(request.results).toEqual([]);
    expect(outcome(request)).toEqual(['a.service: overruled']);
    expect(words(request)).toEqual([message]);
  });

  it('says so of a restart, which another one overrules after the unit was restarted', async () => {
    const { scene, me, bob } = await people();
    await start(me, { units: ['a'], cwd: scene.cwd, replace: false });
    const act = async (): Promise<void> => {
      await stop(bob, ['a']);
      scene.clock.time += 2000;
    };
    const result = await restart(overtaken(me, act), ['a'], 1);
    expect([result.restarted, result.results]).toEqual([[], []]);
    expect(words(result)).toEqual([
      'Unit "a.service" was stopped by bob@desk 2s ago; its target state is loaded',
    ]);
  });

  it('reports that for a text, in either order', async () => {
    const { scene, me, bob } = await people();
    await scene.write('a.service', `# mine\n${SLEEP}`);
    await scene.write('theirs/a.service', `# theirs\n${SLEEP}Nice=1\n`);
    const request = (units: string) => ({ units: [units], cwd: scene.cwd, replace: true });
    let theirs: RequestResult | undefined;
    const act = async (): Promise<void> => {
      theirs = await start(bob, request('theirs/a.service'));
    };
    const mine = await start(overtaken(me, act), request('a'));
    expect(words(mine)).toEqual([
      expect.stringMatching(
        /^Unit "a.service" got another text, [0-9a-f]{7}, by bob@desk 1s ago; its target state is launched$/,
      ),
    ]);
    expect(theirs && outcome(theirs)).toEqual(['a.service: launched m1']);
    expect((await rollback(bob, { unit: 'a', to: undefined })).problems).toEqual([]);
  });

  it('is content where the other one wanted the same, or more', async () => {
    const { scene, me, bob } = await people();
    const request = { units: ['a'], cwd: scene.cwd, replace: false };
    const starts = () => start(bob, request);
    expect(outcome(await start(overtaken(me, starts), request))).toEqual(['a.service: launched m1']);
    await unload(bob, ['a']);
    expect(outcome(await load(overtaken(me, starts), request))).toEqual(['a.service: launched m1']);
    const gone = await destroy(
      overtaken(me, () => destroy(bob, ['a'])),
      ['a'],
    );
    expect(gone.problems).toEqual([]);
  });

  it('does not mind another text that came up, and names one that did not', async () => {
    const { scene, me, bob } = await people();
    const request = { units: ['a'], cwd: scene.cwd, replace: false };
    const replaced = (content: string) => async (): Promise<void> => {
      await scene.write('a.service', content);
      await submitUnits(bob, { ...request, replace: true });
    };
    expect(outcome(await start(overtaken(me, replaced(`# other\n${SLEEP}`)), request))).toEqual([
      'a.service: launched m1',
    ]);
    await stop(bob, ['a']);
    expect(outcome(await start(overtaken(me, replaced(FALSE)), request))).toEqual(['a.service: overruled']);
  });

  it('keeps what its pass found out when the registry cannot be read any more', async () => {
    const { scene, me } = await people();
    await start(me, { units: ['a'], cwd: scene.cwd, replace: false });
    // The pass loads the registry, and only the comparison after it reads a part, because the pass has no results to store.
    const read = () => Promise.reject(new FleetError('registry-unavailable', 'etcd does not answer'));
    const request = await stop({ ...me, registry: { ...me.registry, read } }, ['a']);
    expect(outcome(request)).toEqual(['a.service: loaded m1', 'a.service: registry-unavailable']);
  });

  it('destroys nothing that was started again', async () => {
    const { scene, me, bob } = await people();
    const request = { units: ['a'], cwd: scene.cwd, replace: false };
    await start(bob, request);
    expect(
      outcome(
        await destroy(
          overtaken(me, () => start(bob, request)),
          ['a'],
        ),
      ),
    ).toEqual(['a.service: overruled']);
    expect([...(await bob.registry.load()).units.keys()]).toEqual(['a.service']);
  });
});
