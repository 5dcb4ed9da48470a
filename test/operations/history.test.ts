import { describe, expect, it } from 'vitest';
import { rollback } from '../../src/operations/rollback.ts';
import { destroy, stop, submitUnits } from '../../src/operations/set-target-state.ts';
import { history } from '../../src/operations/unit-texts.ts';
import { resultOf } from '../../src/output/listings.ts';
import { FALSE, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

const text = (name: string): string => `${SLEEP}Environment=NAME=${name}\n`;
/** One that does not come up. */
const bad = (name: string): string => `${FALSE}Environment=NAME=${name}\n`;

/** A scene whose unit has had these texts, one minute after the other. */
async function sceneWith(unit: string, ...texts: readonly string[]): Promise<Scene> {
  const scene = await makeScene();
  for (const each of texts) {
    scene.clock.time += 60_000;
    await replace(scene, unit, each);
  }
  return scene;
}

async function replace(scene: Scene, unit: string, content: string): Promise<void> {
  await scene.write(unit, content);
  await submitUnits(scene.ports, { units: [unit], cwd: scene.cwd, replace: true });
}

/** The texts of a unit, newest first; the present one with a star. */
async function textsOf({ ports: { registry } }: Scene, unit: string): Promise<readonly string[]> {
  const view = await registry.load();
  const { rows } = await history(registry, unit);
  return rows.map(({ digest, current }) => {
    const [, name = 'plain'] = /NAME=(.*)/.exec(view.text(digest)) ?? [];
    return current ? `${name}*` : name;
  });
}

/** The same with what is known of them: `b* failed`. */
async function resultsOf(scene: Scene, unit: string): Promise<readonly string[]> {
  const { rows } = await history(scene.ports.registry, unit);
  const names = await textsOf(scene, unit);
  return rows.map((row, index) => `${names[index]} ${resultOf(row)}`);
}

/** A scene whose unit was launched with the first of these texts, and got the others then. */
async function started(unit: string, ...texts: readonly [string, ...string[]]): Promise<Scene> {
  const [first, ...others] = texts;
  const scene = await sceneWith(unit, first);
  await scene.start(unit);
  for (const each of others) await replace(scene, unit, each);
  return scene;
}

const back = (scene: Scene, unit: string, to?: string) => rollback(scene.ports, { unit, to });

describe('history', () => {
  it('has every text, newest first, with the time and who it was', async () => {
    const scene = await sceneWith('web.service', text('a'), text('b'));
    expect(await textsOf(scene, 'web')).toEqual(['b*', 'a']);
    const { unit, rows } = await history(scene.ports.registry, 'web');
    expect(unit).toBe('web.service');
    expect(rows.map(({ at, by }) => [scene.clock.time - at, by])).toEqual([
      [0, 'me@here'],
      [60_000, 'me@here'],
    ]);
  });

  it('takes a glob that matches one unit, and no other', async () => {
    const scene = await sceneWith('web.service', text('a'));
    expect(await textsOf(scene, 'w*')).toEqual(['a*']);
    await scene.write('work.service', SLEEP);
    await scene.submit(['work']);
    await expect(textsOf(scene, 'w*')).rejects.toMatchObject({
      code: 'usage',
      message: '"w*" matches several units: web.service, work.service',
    });
    await expect(textsOf(scene, 'x*')).rejects.toMatchObject({ code: 'unit-not-found' });
  });

  it('is kept when the unit is destroyed, and continues when it is submitted again', async () => {
    const scene = await sceneWith('web.service', text('a'));
    await destroy(scene.ports, ['web']);
    expect(await textsOf(scene, 'web')).toEqual(['a']);
    await scene.submit(['web.service']);
    expect(await textsOf(scene, 'web')).toEqual(['a*', 'a']);
  });

  it('of a unit that never was is an error', async () => {
    const scene = await makeScene();
    await expect(history(scene.ports.registry, 'web')).rejects.toMatchObject({ code: 'unit-not-found' });
  });
});

describe('rollback', () => {
  it('goes back to the text before the present one, and never forth again', async () => {
    const scene = await sceneWith('web.service', text('a'), text('b'));
    await back(scene, 'web');
    expect(await textsOf(scene, 'web')).toEqual(['a*', 'b', 'a']);
    await expect(back(scene, 'web')).rejects.toMatchObject({
      code: 'usage',
      message: 'Cannot roll back unit "web.service": it has no earlier good text',
      hint: 'Choose one of its texts: fleetctl history web.service, and then fleetctl rollback web.service --to HASH',
    });
    expect(await textsOf(scene, 'web')).toEqual(['a*', 'b', 'a']);
  });

  it('goes back to the last text that came up, and then to the one before that', async () => {
    const scene = await started('web.service', text('a'), text('b'), bad('c'), bad('d'));
    expect(await resultsOf(scene, 'web')).toEqual(['d* failed', 'c failed', 'b good', 'a good']);
    await back(scene, 'web');
    await back(scene, 'web');
    expect(await textsOf(scene, 'web')).toEqual(['a*', 'b', 'd', 'c', 'b', 'a']);
    await expect(back(scene, 'web')).rejects.toMatchObject({ code: 'usage' });
  });

  it('passes over a text that was never started where an earlier one came up', async () => {
    const scene = await started('web.service', text('a'));
    await stop(scene.ports, ['web']);
    for (const each of ['b', 'c']) await replace(scene, 'web.service', text(each));
    expect(await resultsOf(scene, 'web')).toEqual(['c* untried', 'b untried', 'a good']);
    expect((await back(scene, 'web')).entry).toMatchObject({ verdict: { kind: 'good' } });
    expect(await textsOf(scene, 'web')).toEqual(['a*', 'c', 'b', 'a']);
  });

  it('takes a text that was never started rather than one that failed', async () => {
    const scene = await sceneWith('web.service', text('a'), bad('b'));
    await scene.start('web');
    await replace(scene, 'web.service', bad('c'));
    expect(await resultsOf(scene, 'web')).toEqual(['c* failed', 'b failed', 'a untried']);
    expect((await back(scene, 'web')).entry.verdict).toBeUndefined();
    expect(await resultsOf(scene, 'web')).toEqual(['a* good', 'c failed', 'b failed', 'a good']);
  });

  it('goes by what the instances of a template did with its texts', async () => {
    const scene = await sceneWith('web@.service', text('a'));
    await scene.start('web@1', 'web@2');
    for (const each of ['b', 'c']) await replace(scene, 'web@.service', bad(each));
    expect(await resultsOf(scene, 'web@')).toEqual(['c* failed', 'b failed', 'a good']);
    await back(scene, 'web@.service');
    expect(await textsOf(scene, 'web@2')).toEqual(['a*', 'c', 'b', 'a']);
  });

  it('skips entries with the present text', async () => {
    const scene = await sceneWith('web.service', text('a'), text('b'));
    await destroy(scene.ports, ['web']);
    await scene.submit(['web.service']);
    await back(scene, 'web');
    expect(await textsOf(scene, 'web')).toEqual(['a*', 'b', 'b', 'a']);
  });

  it('goes to the text of a hash, given by its beginning in any case', async () => {
    const scene = await sceneWith('web.service', text('a'), text('b'), text('c'));
    const { rows } = await history(scene.ports.registry, 'web');
    await back(scene, 'web', rows.at(-1)?.hash.slice(0, 7).toUpperCase());
    expect(await textsOf(scene, 'web')).toEqual(['a*', 'c', 'b', 'a']);
  });

  it('changes nothing when the unit has that text already', async () => {
    const scene = await sceneWith('web.service', text('a'), text('b'));
    await scene.start('web');
    scene.machines.of('m1').log.length = 0;
    const [newest] = (await history(scene.ports.registry, 'web')).rows;
    expect(outcome(await back(scene, 'web', newest?.hash))).toEqual(['web.service: launched m1']);
    expect(await textsOf(scene, 'web')).toEqual(['b*', 'a']);
    expect(scene.machines.of('m1').log).toEqual([]);
  });

  it('takes the newest of texts that differ in comments alone', async () => {
    const scene = await sceneWith('web.service', text('a'), `# better\n${text('a')}`, text('b'));
    const { rows } = await history(scene.ports.registry, 'web');
    await back(scene, 'web', rows.at(-1)?.hash);
    const { registry } = scene.ports;
    expect((await registry.load()).units.get('web.service')?.text).toContain('# better');
  });

  it('restarts a unit that runs, with the old text', async () => {
    const scene = await sceneWith('web.service', text('a'), text('b'));
    await scene.start('web');
    scene.machines.of('m1').log.length = 0;
    expect(outcome(await back(scene, 'web'))).toEqual(['web.service: launched m1']);
    expect(scene.machines.of('m1').log).toEqual([
      'stop web.service',
      'write web.service',
      'record web.service',
      'start web.service',
    ]);
    expect(scene.machines.of('m1').units.get('web.service')?.text).toBe(text('a'));
  });

  it('takes the instances of a template along', async () => {
    const scene = await sceneWith('web@.service', text('a'));
    await scene.start('web@1', 'web@2');
    await replace(scene, 'web@.service', text('b'));
    await back(scene, 'web@.service');
    expect(await textsOf(scene, 'web@1')).toEqual(['a*', 'b', 'a']);
    expect(scene.there()).toEqual({ m1: ['web@1.service running'], m2: ['web@2.service running'] });
  });

  it.each([
    ['a unit without another text', [text('a')], undefined, 'usage', 'it never had another text'],
    ['a hash it never had', [text('a'), text('b')], 'ffffffff', 'usage', 'never had hash "ffffffff"'],
    ['an empty hash', [text('a'), text('b')], '', 'usage', 'never had hash ""'],
    ['a unit that never was', [], undefined, 'unit-not-found', 'No such unit'],
  ])('refuses %s', async (_, texts, to, code, message) => {
    const scene = await sceneWith('web.service', ...texts);
    await expect(back(scene, 'web', to)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('refuses a hash that may be several', async () => {
    // 17 texts have at least two hashes with the same first digit.
    const scene = await sceneWith('web.service', ...Array.from({ length: 17 }, (_, i) => text(`${i}`)));
    const { rows } = await history(scene.ports.registry, 'web');
    const digits = rows.map(({ hash }) => hash.slice(0, 1));
    const twice = digits.find((digit, index) => digits.indexOf(digit) !== index);
    await expect(back(scene, 'web', twice)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('of its hashes begin with'),
    });
  });

  it('refuses a unit that was destroyed', async () => {
    const scene = await sceneWith('web.service', text('a'), text('b'));
    await destroy(scene.ports, ['web']);
    await expect(back(scene, 'web')).rejects.toMatchObject({
      code: 'unit-not-found',
      hint: 'Submit it again: fleetctl submit web.service',
    });
  });
});
