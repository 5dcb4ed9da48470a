import { expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { failuresOf, Scene } from './scene.ts';

it.each([
  ['that cannot be parsed', 'Requires=b.service\n'],
  ['whose section is not closed', '[Unit\nRequires=b.service\n'],
])('a machine with an older text %s ends no pass', async (_, text) => {
  const scene = new Scene(['m1']);
  await scene.want('launched', '', 'a.service', 'b.service');
  await scene.pass();
  const digest = sha256(text);
  // Stored by a fleet that could read it.
  await scene.registry.update(({ units }) => {
    const [present] = units.values();
    if (present === undefined) return [];
    const { placement: _placement, triggers: _triggers, dependencies: _dependencies, ...unit } = present;
    return [
      { kind: 'put-unit', unit: { ...unit, text, digest } },
      { kind: 'put-unit', unit },
    ];
  });
  const { record } = scene.driver.of('m1').units.get('a.service') ?? {};
  Object.assign(record ?? {}, { digest });
  expect((await scene.registry.load()).revisionOf(`contents/${digest}`)).toBeGreaterThan(0);
  expect(failuresOf(await scene.pass())).toEqual([]);
  expect(scene.there()).toEqual(['m1 a.service running', 'm1 b.service running']);
});
