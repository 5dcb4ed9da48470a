import { describe, expect, it } from 'vitest';
import { submitUnits, unload } from '../../src/operations/set-target-state.ts';
import { makeScene, outcome, type Scene, SLEEP } from './scene.ts';

const replacing = (...units: readonly string[]): string => `${SLEEP}[X-Fleet]\nReplaces=${units.join(' ')}\n`;

/** Three units on the three machines, and a file that replaces the one on m2. */
async function populated(): Promise<Scene> {
  const scene = await makeScene();
  for (const name of ['a', 'b', 'c']) await scene.write(`${name}.service`, SLEEP);
  await scene.start('a', 'b', 'c');
  await scene.write('new.service', replacing('b.service'));
  return scene;
}

describe('a unit with Replaces=', () => {
  it('takes the machine of the unit it replaces, which is stopped there first and stays away', async () => {
    const scene = await populated();
    expect(outcome(await scene.start('new'))).toEqual(['b.service: inactive', 'new.service: launched m2']);
    expect(await scene.wanted()).toMatchObject({ 'b.service': 'inactive', 'new.service': 'launched m2' });
    const { log } = scene.machines.of('m2');
    expect(log.indexOf('stop b.service')).toBeLessThan(log.indexOf('start new.service'));
    expect(scene.there()).toMatchObject({ m2: ['new.service running'] });
  });

  it('goes elsewhere when it does not fit there', async () => {
    const scene = await makeScene({ m1: {}, m2: { disk: 'ssd' } });
    await scene.write('old.service', SLEEP);
    await scene.start('old');
    await scene.write('new.service', `${replacing('old.service')}MachineMetadata=disk=ssd\n`);
    expect(outcome(await scene.start('new'))).toEqual(['new.service: launched m2', 'old.service: inactive']);
  });

  it('replaces nothing when it is only submitted, and when what it replaces is not there', async () => {
    const scene = await populated();
    await scene.submit(['new']);
    expect(await scene.wanted()).toMatchObject({ 'b.service': 'launched m2', 'new.service': 'inactive' });
    await scene.write('other.service', replacing('absent.service'));
    expect(outcome(await scene.start('other'))).toEqual(['other.service: launched m1']);
  });

  it('replaces once: what was started again beside it is left alone', async () => {
    const scene = await populated();
    await scene.start('new');
    await scene.start('b');
    expect(outcome(await scene.start('new'))).toEqual(['new.service: launched m2']);
    expect(await scene.wanted()).toMatchObject({ 'b.service': 'launched m1', 'new.service': 'launched m2' });
  });

  it('replaces when it comes by a new text', async () => {
    const scene = await populated();
    await scene.write('a.service', replacing('b.service'));
    const request = { units: ['a'], cwd: scene.cwd, replace: true };
    expect(outcome(await submitUnits(scene.edges, request))).toEqual([
      'a.service: launched m1',
      'b.service: inactive',
    ]);
  });

  it('finishes the end of a unit that was on its way out', async () => {
    const scene = await populated();
    scene.machines.silence('m2');
    expect(outcome(await scene.start('new'))).toEqual([
      'b.service: unreachable on m2',
      'new.service: launched m1',
    ]);
    scene.machines.of('m2').silence = undefined;
    expect(outcome(await scene.start('new'))).toEqual(['b.service: inactive', 'new.service: launched m1']);
    expect(scene.there()).not.toHaveProperty('m2');
  });

  it('cannot be started together with the unit it replaces', async () => {
    const scene = await populated();
    expect(outcome(await scene.start('b', 'new'))).toEqual([
      'b.service: inactive',
      'new.service: launched m2',
      'b.service: placement',
    ]);
  });

  it.each([
    ['itself by way of another', ['x.service: y.service', 'y.service: x.service']],
    ['itself by way of two', ['x.service: z.service', 'z.service: y.service', 'y.service: x.service']],
  ])('is refused when it replaces %s', async (_title, files) => {
    const scene = await makeScene();
    for (const file of files) {
      const [name = '', replaced = ''] = file.split(': ');
      await scene.write(name, replacing(replaced));
    }
    const names = files.map((file) => file.split(':')[0] ?? '');
    const { problems } = await scene.submit(names);
    expect(problems.map(({ unit, error }) => `${unit}: ${error.message}`)).toEqual([
      expect.stringMatching(/^y\.service: Cannot use unit "y\.service": it replaces itself, by way of /),
    ]);
  });

  it('may be one of a line of versions', async () => {
    const scene = await populated();
    await scene.start('new');
    await scene.write('newer.service', replacing('new.service', 'b.service'));
    expect(outcome(await scene.start('newer'))).toEqual([
      'new.service: inactive',
      'newer.service: launched m2',
    ]);
    expect(outcome(await unload(scene.edges, ['newer']))).toEqual(['newer.service: inactive']);
  });
});
