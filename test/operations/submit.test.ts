import { describe, expect, it } from 'vitest';
import { cat } from '../../src/operations/unit-texts.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

/** A unit file that says where it came from. */
const from = (place: string): string => `${SLEEP}Environment=FROM=${place}\n`;

async function placeOf(scene: Scene, unit: string): Promise<string | undefined> {
  const text = (await cat(scene.ports.registry, unit)).map((each) => each.text).join('');
  return /FROM=(.*)/.exec(text)?.[1];
}

/** The problems of a submission: unit, code, message, without the folder. */
async function problemsOf(scene: Scene, ...units: readonly string[]): Promise<readonly string[]> {
  const { problems } = await scene.submit(units);
  return problems.map(({ error }) => `${error.code}: ${error.message.replaceAll(`${scene.cwd}/`, '')}`);
}

describe('a unit is searched', () => {
  it('in the registry first', async () => {
    const scene = await makeScene();
    await scene.write('web@1.service', from('registry'));
    await scene.submit(['web@1.service']);
    await scene.write('web@1.service', from('disk'));
    await scene.write('web@.service', from('template on disk'));
    const { created, differing } = await scene.submit(['web@1']);
    expect(await placeOf(scene, 'web@1')).toBe('registry');
    expect([...created]).toEqual([]);
    expect(differing.map(({ unit, path }) => [unit, path])).toEqual([
      ['web@1.service', `${scene.cwd}/web@1.service`],
    ]);
  });

  it('then on the disk, before a template of the registry', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', from('template'));
    await scene.submit(['web@.service']);
    await scene.write('web@1.service', from('disk'));
    expect([...(await scene.submit(['web@1'])).created]).toEqual(['web@1.service']);
    expect(await placeOf(scene, 'web@1')).toBe('disk');
  });

  it('then as a template in the registry, before a template on the disk', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', from('template in the registry'));
    await scene.submit(['web@.service']);
    await scene.write('web@.service', from('template on disk'));
    await scene.submit(['web@1']);
    expect(await placeOf(scene, 'web@1')).toBe('template in the registry');
  });

  it('then as a template on the disk, which itself is not submitted', async () => {
    const scene = await makeScene();
    await scene.write('units/web@.service', from('template on disk'));
    await scene.submit(['units/web@1', 'units/web@2.service']);
    expect(await scene.wanted()).toEqual({ 'web@1.service': 'inactive', 'web@2.service': 'inactive' });
    expect(await placeOf(scene, 'web@2')).toBe('template on disk');
  });

  it('and not found', async () => {
    const scene = await makeScene();
    expect(await problemsOf(scene, 'web', 'web@1', 'units/web.timer')).toEqual([
      'unit-not-found: Cannot find unit "web.service": it is not in the registry and not on disk',
      'unit-not-found: Cannot find unit "web@1.service", nor its template "web@.service": it is not in the registry and not on disk',
      'unit-not-found: Cannot find unit "web.timer": it is not in the registry and not on disk',
    ]);
  });
});

describe('a name', () => {
  it.each([
    ['without suffix', 'hello'],
    ['with suffix', 'hello.service'],
    ['as a path', './hello.service'],
    ['as a path without suffix', 'units/../hello'],
  ])('%s', async (_, argument) => {
    const scene = await makeScene();
    await scene.write('units/other.service', SLEEP);
    await scene.write('hello.service', SLEEP);
    await scene.submit([argument]);
    expect(await scene.wanted()).toEqual({ 'hello.service': 'inactive' });
  });

  it('given as two files is refused, and nothing is submitted', async () => {
    const scene = await makeScene();
    await scene.write('one/web.service', from('one'));
    await scene.write('two/web.service', from('two'));
    await expect(scene.submit(['one/web', 'two/web.service'])).rejects.toMatchObject({ code: 'usage' });
    expect((await scene.ports.registry.load()).units.size).toBe(0);
    // A name alone finds no file here, so there is only one.
    expect([...(await scene.submit(['web', `${scene.cwd}/one/web`, 'one/web'])).created]).toEqual([
      'web.service',
    ]);
  });

  it('given twice, in any spelling, is one unit', async () => {
    const scene = await makeScene();
    await scene.write('hello.service', SLEEP);
    const { units, created } = await scene.submit(['hello', 'hello.service', './hello.service']);
    expect(units.map(({ name }) => name)).toEqual(['hello.service']);
    expect([...created]).toEqual(['hello.service']);
  });

  it('that can be none stops everything before anything is done', async () => {
    const scene = await makeScene();
    await scene.write('hello.service', SLEEP);
    await expect(scene.submit(['hello', 'bad name'])).rejects.toMatchObject({ code: 'unit-name' });
    expect(await scene.wanted()).toEqual({});
  });
});

describe('a file that is no good', () => {
  it.each<readonly [string, string | Uint8Array, string]>([
    ['empty', '', 'unit-file: Cannot read unit file "a.service", line 1: the file has no options'],
    [
      'without sections',
      'ExecStart=/bin/true\n',
      'unit-file: Cannot read unit file "a.service", line 1: "ExecStart=/bin/true" is before the first section',
    ],
    [
      'not UTF-8',
      new Uint8Array([0xff, 0xfe, 0x41]),
      'unit-file: Cannot read unit file "a.service", line 1: it is not UTF-8 text',
    ],
    [
      'with an unknown option',
      `${SLEEP}[X-Fleet]\nMachineFoo=x\n`,
      'placement: Cannot read the placement of "a.service", line 4: unknown option in [X-Fleet]: "MachineFoo"',
    ],
    [
      'with Replaces= and Conflicts=',
      `${SLEEP}[X-Fleet]\nReplaces=b.service\nConflicts=c.service\n`,
      'placement: Cannot read the placement of "a.service", line 4: Replaces cannot be used with Conflicts: "b.service"',
    ],
  ])('%s', async (_, content, problem) => {
    const scene = await makeScene();
    await scene.write('a.service', content);
    await scene.write('good.service', SLEEP);
    expect(await problemsOf(scene, 'a.service', 'good')).toEqual([problem]);
    expect(await scene.wanted()).toEqual({ 'good.service': 'inactive' });
  });

  it('is a folder of that very name', async () => {
    const scene = await makeScene();
    await scene.write('a.service/x', '');
    await scene.write('b/x', '');
    expect(await problemsOf(scene, 'a.service', 'b')).toEqual([
      'unit-file: Cannot read unit file "a.service": it is a folder',
      'unit-file: Cannot read unit file "b": it is a folder',
    ]);
  });

  it('does not matter when the registry has the unit', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.submit(['a']);
    await scene.write('a.service', '');
    const { problems, units } = await scene.submit(['a']);
    expect([problems, units.length]).toEqual([[], 1]);
  });
});

describe('a file that differs', () => {
  it('is reported, and so is the template of an instance', async () => {
    const scene = await makeScene();
    await scene.write('a.service', from('then'));
    await scene.write('web@.service', from('then'));
    await scene.submit(['a', 'web@1']);
    await scene.write('a.service', from('now'));
    await scene.write('web@.service', from('now'));
    const { differing } = await scene.submit(['a', 'web@1']);
    expect(differing).toEqual([
      {
        unit: 'a.service',
        path: `${scene.cwd}/a.service`,
        registryText: from('then'),
        fileText: from('now'),
      },
      {
        unit: 'web@1.service',
        path: `${scene.cwd}/web@.service`,
        fromTemplate: true,
        registryText: from('then'),
        fileText: from('now'),
      },
    ]);
    expect(await placeOf(scene, 'a')).toBe('then');
  });

  it('in a comment alone differs too, and an equal one does not', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.submit(['a']);
    expect((await scene.submit(['a'])).differing).toEqual([]);
    await scene.write('a.service', `# new\n${SLEEP}`);
    expect((await scene.submit(['a'])).differing).toHaveLength(1);
  });

  it('is taken with replace, and keeps the target state', async () => {
    const scene = await makeScene();
    await scene.write('a.service', from('then'));
    await scene.load('a');
    await scene.write('a.service', from('now'));
    const { replaced, differing } = await scene.submit(['a'], true);
    expect([[...replaced], differing]).toEqual([['a.service'], []]);
    expect(await placeOf(scene, 'a')).toBe('now');
    expect(await scene.wanted()).toEqual({ 'a.service': 'loaded m1' });
  });

  it('that is no good is not taken with replace', async () => {
    const scene = await makeScene();
    await scene.write('a.service', from('then'));
    await scene.submit(['a']);
    await scene.write('a.service', 'nonsense');
    const { replaced, problems } = await scene.submit(['a'], true);
    expect([[...replaced], problems.map(({ error }) => error.code)]).toEqual([[], ['unit-file']]);
    expect(await placeOf(scene, 'a')).toBe('then');
  });

  it('and is a template takes its instances along', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', from('then'));
    await scene.submit(['web@.service', 'web@1', 'web@2']);
    await scene.write('web@.service', from('now'));
    const { replaced } = await scene.submit(['web@.service'], true);
    expect(replaced).toEqual(new Set(['web@.service', 'web@1.service', 'web@2.service']));
    expect(await placeOf(scene, 'web@2')).toBe('now');
  });
});

describe('the history of a name', () => {
  it('keeps every text it had, who gave it and when', async () => {
    const scene = await makeScene();
    await scene.write('a.service', from('then'));
    await scene.submit(['a']);
    scene.clock.time += 1000;
    await scene.write('a.service', from('now'));
    await scene.submit(['a'], true);
    const entries = (await scene.ports.registry.load()).history('a.service');
    expect(entries.map(({ at, by }) => [at - scene.clock.time, by])).toEqual([
      [-1000, 'me@here'],
      [0, 'me@here'],
    ]);
  });
});
