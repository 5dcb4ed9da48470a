import { describe, expect, it } from 'vitest';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { submitUnits, unload } from '../../src/operations/set-target-state.ts';
import { submit } from '../../src/operations/submit.ts';
import { FALSE, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

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
  it('takes the machine of the unit it replaces, which comes up elsewhere first', async () => {
    const scene = await populated();
    expect(outcome(await scene.start('new'))).toEqual(['b.service: launched m1', 'new.service: launched m2']);
    expect(await scene.wanted()).toMatchObject({ 'b.service': 'launched m1', 'new.service': 'launched m2' });
    const { log } = scene.machines.of('m2');
    expect(log.indexOf('stop b.service')).toBeLessThan(log.indexOf('start new.service'));
    expect(scene.there()).toMatchObject({
      m1: ['a.service running', 'b.service running'],
      m2: ['new.service running'],
    });
    expect(outcome(await scene.start('new', 'b'))).toEqual([
      'b.service: launched m1',
      'new.service: launched m2',
    ]);
  });

  it('goes elsewhere when it does not fit there, and leaves the other one alone', async () => {
    const scene = await makeScene({ m1: {}, m2: { disk: 'ssd' } });
    await scene.write('old.service', SLEEP);
    await scene.start('old');
    await scene.write('new.service', `${replacing('old.service')}MachineMetadata=disk=ssd\n`);
    expect(outcome(await scene.start('new'))).toEqual([
      'new.service: launched m2',
      'old.service: launched m1',
    ]);
  });

  it('leaves what it replaces launched and without a machine where no other one fits', async () => {
    const scene = await makeScene({ m1: {}, m2: { disk: 'ssd' } });
    await scene.write('old.service', `${SLEEP}[X-Fleet]\nMachineMetadata=disk=ssd\n`);
    await scene.start('old');
    await scene.write('new.service', `${replacing('old.service')}MachineMetadata=disk=ssd\n`);
    const request = await scene.start('new');
    expect(outcome(request)).toEqual(['new.service: launched m2', 'old.service: nowhere']);
    expect(request.results[1]?.rejected.map(({ machine, reason }) => `${machine} ${reason.code}`)).toEqual([
      'm1 machine-metadata',
      'm2 replaced',
    ]);
    expect(await scene.wanted()).toEqual({ 'new.service': 'launched m2', 'old.service': 'launched' });
    expect(scene.there()).toEqual({ m2: ['new.service running'] });
    await unload(scene.ports, ['new']);
    await reconcileEverything(scene.ports);
    expect(await scene.wanted()).toMatchObject({ 'old.service': 'launched m2' });
  });

  it('waits when what it replaces does not come up elsewhere', async () => {
    const scene = await populated();
    await scene.write('b.service', FALSE);
    // Only stored, because a pass over it would hold the text.
    await submit(scene.ports.registry, { units: ['b'], cwd: scene.cwd, replace: true });
    const request = await scene.start('new');
    expect(outcome(request)).toEqual(['b.service: not-up on m1', 'new.service: waits on m2']);
    // Its older text comes up there, and the next command takes the machine.
    expect(scene.there()).toEqual({
      m1: ['a.service running'],
      m3: ['b.service running', 'c.service running'],
    });
    expect(outcome(await scene.start('new'))).toEqual(['b.service: held on m3', 'new.service: launched m2']);
  });

  it('replaces nothing when it is only submitted, and when what it replaces is not there', async () => {
    const scene = await populated();
    await scene.submit(['new']);
    expect(await scene.wanted()).toMatchObject({ 'b.service': 'launched m2', 'new.service': 'inactive' });
    await scene.write('other.service', replacing('absent.service'));
    expect(outcome(await scene.start('other'))).toEqual(['other.service: launched m1']);
  });

  it('replaces when it gets a new text, on its machine', async () => {
    const scene = await populated();
    await scene.start('new');
    await scene.write('a.service', replacing('b.service'));
    const request = { units: ['a'], cwd: scene.cwd, replace: true };
    expect(outcome(await submitUnits(scene.ports, request))).toEqual([
      'a.service: launched m1',
      'b.service: launched m3',
    ]);
  });

  it('leaves an unreachable machine alone', async () => {
    const scene = await populated();
    scene.machines.disconnect('m2');
    expect(outcome(await scene.start('new'))).toEqual([
      'b.service: unreachable on m2',
      'new.service: launched m1',
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
      'b.service: launched m1',
      'new.service: launched m3',
      'newer.service: launched m2',
    ]);
    expect(outcome(await unload(scene.ports, ['newer']))).toEqual(['newer.service: inactive']);
  });
});
