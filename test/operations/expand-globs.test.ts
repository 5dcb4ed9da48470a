import { describe, expect, it } from 'vitest';
import { load, start, submitUnits } from '../../src/operations/set-target-state.ts';
import { verify } from '../../src/operations/verify.ts';
import { makeScene, outcome, type Scene, SLEEP } from './scene.ts';

/** Files here and in a folder, some units that only the registry has, and other files. */
async function arrange(): Promise<Scene> {
  const scene = await makeScene();
  for (const name of ['web@1', 'web@2', 'web@3', 'units/web@4', 'db'])
    await scene.write(`${name}.service`, SLEEP);
  for (const name of ['web@.service', 'web@1.service~', 'web@x.txt', 'a b.service'])
    await scene.write(name, SLEEP);
  await scene.submit(['web@3', 'db']);
  return scene;
}

const VERBS = { start, load, submit: submitUnits };

async function namesFor(verb: keyof typeof VERBS, scene: Scene, ...units: readonly string[]) {
  const result = await VERBS[verb](scene.ports, { units, cwd: scene.cwd, replace: false });
  return { names: Object.keys(await scene.wanted()), problems: outcome({ ...result, results: [] }) };
}

describe('a glob', () => {
  it.each(['start', 'load'] as const)(
    'in %s matches files and units of the registry, no template',
    async (verb) => {
      const scene = await arrange();
      await scene.submit(['units/web@4']);
      expect(await namesFor(verb, scene, 'web@*')).toEqual({
        names: ['db.service', 'web@1.service', 'web@2.service', 'web@3.service', 'web@4.service'],
        problems: [],
      });
      const target = verb === 'start' ? 'launched' : 'loaded';
      const reached = Object.entries(await scene.wanted()).filter(([, state]) => state.startsWith(target));
      expect(reached.map(([name]) => name)).toEqual(
        ['web@1', 'web@2', 'web@3', 'web@4'].map((each) => `${each}.service`),
      );
    },
  );

  it('in submit matches templates too', async () => {
    const { names } = await namesFor('submit', await arrange(), 'web@*.service');
    expect(names).toEqual(['db.service', 'web@.service', 'web@1.service', 'web@2.service', 'web@3.service']);
  });

  it('with a folder matches the files there alone', async () => {
    const scene = await arrange();
    expect(await namesFor('start', scene, 'units/*')).toEqual({
      names: ['db.service', 'web@3.service', 'web@4.service'],
      problems: [],
    });
    expect(await scene.wanted()).toMatchObject({ 'db.service': 'inactive', 'web@3.service': 'inactive' });
  });

  it.each(['start', 'load', 'submit'] as const)(
    'in %s that matches nothing is a problem, and hides no other',
    async (verb) => {
      const scene = await arrange();
      expect(await namesFor(verb, scene, 'nothing*', 'nowhere/*', 'web@1')).toEqual({
        names: ['db.service', 'web@1.service', 'web@3.service'],
        problems: ['nothing*: unit-not-found', 'nowhere/*: unit-not-found'],
      });
    },
  );

  it('in verify matches what submit would', async () => {
    const scene = await arrange();
    const request = { units: ['web@*', 'none*'], cwd: scene.cwd, replace: true, machine: undefined };
    const { machines, problems } = await verify(scene.ports, request);
    expect(machines[0]?.units).toEqual(['web@.service', 'web@1.service', 'web@2.service', 'web@3.service']);
    expect(problems.map(({ unit }) => unit)).toContain('none*');
  });
});
