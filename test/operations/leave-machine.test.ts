import { expect, it } from 'vitest';
import { leaveMachine } from '../../src/operations/machine-membership.ts';
import { GLOBAL, makeScene, SLEEP } from './scene.ts';

it('a machine leaves fleet.conf when no unit is assigned to it, and its global units are reported', async () => {
  const scene = await makeScene();
  await scene.write('a.service', SLEEP);
  await scene.write('b.service', `${SLEEP}[X-Fleet]\nConflicts=a.service\n`);
  await scene.write('all.service', GLOBAL);
  await scene.start('a', 'b', 'all');
  const there = Object.entries(scene.there());
  const holder = there.find(([, units]) => units.some((unit) => unit.startsWith('a.service')))?.[0] ?? '';
  const registry = await scene.ports.registry.load();
  expect(() => leaveMachine(registry, holder)).toThrow(
    `Cannot remove machine "${holder}": units are assigned to it: a.service`,
  );
  const free = there.find(([, units]) => units.length === 1)?.[0] ?? '';
  expect(leaveMachine(registry, free)).toEqual(['all.service']);
  expect(leaveMachine(registry, 'never-seen')).toEqual([]);
});
