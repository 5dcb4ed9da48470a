import { describe, expect, it } from 'vitest';
import { selectUnits } from '../../src/operations/select-units.ts';
import { makeScene, SLEEP } from './scene.ts';

const FILES = ['web@1.service', 'web@2.service', 'webby.service', 'web.timer', 'db.service'];

describe('units of the registry are named', () => {
  it.each<readonly [string, readonly string[], readonly string[]]>([
    ['by their names', ['db.service'], ['db.service']],
    ['without .service', ['db'], ['db.service']],
    [
      'as paths, whether there is a file or not',
      ['units/db.service', '/x/web@1'],
      ['db.service', 'web@1.service'],
    ],
    ['with their own suffix', ['web.timer'], ['web.timer']],
    ['by a glob', ['web@*.service'], ['web@1.service', 'web@2.service']],
    ['by a glob without .service', ['web@?'], ['web@1.service', 'web@2.service']],
    ['by a class', ['web@[1-1]*'], ['web@1.service']],
    ['by a glob over suffixes', ['web*.timer'], ['web.timer']],
    [
      'by a glob over everything',
      ['*'],
      ['db.service', 'web.timer', 'web@1.service', 'web@2.service', 'webby.service'],
    ],
    ['twice, in whatever way', ['db', 'd*', 'db.service'], ['db.service']],
    ['in the order of the arguments', ['webby', 'db'], ['webby.service', 'db.service']],
  ])('%s', async (_, words, expected) => {
    const scene = await makeScene();
    for (const file of FILES)
      await scene.write(file, file.endsWith('r') ? '[Timer]\nOnActiveSec=1h\n' : SLEEP);
    await scene.submit(FILES);
    const { units, problems } = selectUnits(words, await scene.ports.registry.load());
    expect([units.map(({ name }) => name), problems]).toEqual([expected, []]);
  });

  it('by a glob that also matches templates, which are reported', async () => {
    const scene = await makeScene();
    for (const file of ['bk@.service', 'web@.service', 'web@1.service']) await scene.write(file, SLEEP);
    await scene.submit(['bk@.service', 'web@.service', 'web@1']);
    const view = await scene.ports.registry.load();
    const select = (...words: readonly string[]) => {
      const { units, problems, templates } = selectUnits(words, view);
      return [units.map(({ name }) => name), problems.map(({ error }) => error.message), templates];
    };
    expect(select('web@*')).toEqual([['web@1.service'], [], ['web@.service']]);
    expect(select('web@*', 'web@.service')).toEqual([['web@1.service', 'web@.service'], [], []]);
    const [, problems] = select('bk@*');
    expect(problems).toEqual(['No unit matches "bk@*", only template "bk@.service"']);
    expect(selectUnits(['bk@*'], view).problems[0]?.error.hint).toBe(
      'A glob matches only units that can run; name the template itself: bk@.service',
    );
  });

  it('a name and a glob without units are reported differently, and do not affect others', async () => {
    const scene = await makeScene();
    await scene.write('db.service', SLEEP);
    await scene.submit(['db']);
    const { units, problems } = selectUnits(['none', 'none@*', 'db'], await scene.ports.registry.load());
    expect(units.map(({ name }) => name)).toEqual(['db.service']);
    expect(problems.map(({ unit, error }) => [unit, error.code, error.message])).toEqual([
      ['none.service', 'unit-not-found', 'No such unit: "none.service"'],
      ['none@*', 'unit-not-found', 'No unit matches "none@*"'],
    ]);
  });

  it('what can be no name is an error', async () => {
    const view = await (await makeScene()).ports.registry.load();
    expect(() => selectUnits(['db', 'bad name'], view)).toThrow('Cannot use "bad name" as a unit name');
    // A glob over folders is none over units.
    for (const folder of ['*/', 'units/', '/'])
      expect(() => selectUnits([folder], view)).toThrow(`Cannot use "${folder}" as a unit name`);
  });
});
