import { describe, expect, it } from 'vitest';
import type { DesiredUnit } from '../../src/cluster/snapshot.ts';
import { awaitLease } from '../../src/operations/observe-cluster.ts';
import { start } from '../../src/operations/set-target-state.ts';
import { desiredUnit } from '../support/builders.ts';
import { makeScene, outcome, type Scene, SLEEP } from './scene.ts';

const FENCED = `${SLEEP}[X-Fleet]\nFenced=true\n`;
const LEASE = { bootId: 'boot', deadline: 1030 };

/** A scene where a controller gives m2 a lease as soon as it is asked for the `look`th time. */
async function ledScene(look: number): Promise<Scene & { readonly looks: () => number }> {
  const scene = await makeScene();
  await scene.write('a.service', FENCED);
  const { driver } = scene.machines;
  let looks = 0;
  const connect: typeof driver.connect = (machine) => {
    if (machine.name === 'm1' && ++looks === look) scene.machines.of('m2').extend(LEASE);
    return driver.connect(machine);
  };
  const ports = { ...scene.ports, driver: { ...driver, connect } };
  return { ...scene, ports, looks: () => looks };
}

describe('a start of a fenced unit', () => {
  it('waits until a machine has a lease, and then starts it there', async () => {
    const { ports, cwd } = await ledScene(2);
    const request = { units: ['a'], cwd, replace: false };
    expect(outcome(await start(ports, { ...request, leaseWaitMs: 60_000 }))).toEqual([
      'a.service: launched m2',
    ]);
  });

  it('starts it nowhere when there is none in time', async () => {
    const { ports, cwd, there } = await ledScene(0);
    await start(ports, { units: ['a'], cwd, replace: false, leaseWaitMs: 0 });
    expect(there()).toEqual({});
  });
});

describe('waiting for a lease', () => {
  const fenced = desiredUnit('a.service', 'Fenced=true');

  it.each<[string, DesiredUnit, number]>([
    ['looks until there is one', fenced, 2],
    ['does not look for what is not fenced', desiredUnit('a.service'), 0],
    ['does not look for what is not to be loaded', { ...fenced, target: 'inactive' }, 0],
  ])('%s', async (_sentence, unit, expected) => {
    const { ports, looks } = await ledScene(2);
    await awaitLease(ports, [unit], 60_000);
    expect(looks()).toBe(expected);
  });
});
