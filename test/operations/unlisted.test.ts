import { describe, expect, it } from 'vitest';
import { toDo } from '../../src/controller/to-do.ts';
import { listMachines } from '../../src/operations/list-machines.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { forgetMachine } from '../../src/operations/machine-membership.ts';
import { observeCluster, withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { start, unload } from '../../src/operations/set-target-state.ts';
import { missingLines } from '../../src/output/report.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { TTL_MS } from '../support/builders.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

/** Three units on three machines, and an operator whose fleet.conf has only some of these. */
async function twoOperators(...listed: readonly string[]): Promise<Scene & { readonly theirs: Ports }> {
  const scene = await makeScene();
  for (const name of ['a.service', 'b.service', 'c.service', 'new.service']) await scene.write(name, SLEEP);
  await scene.start('a', 'b', 'c');
  const machines = scene.ports.machines.filter(({ name }) => listed.includes(name));
  return { ...scene, theirs: { ...scene.ports, machines } };
}

describe('a machine whose address only the fleet.conf of another operator has', () => {
  it('keeps its units, for as long as it takes', async () => {
    const { theirs, ...scene } = await twoOperators('m1', 'm2');
    const before = [scene.there(), await scene.wanted()];
    for (const rounds of [1, 2]) {
      scene.clock.time += rounds * 2 * TTL_MS;
      const pass = await reconcileEverything(theirs);
      expect([pass.moves, pass.plans]).toEqual([[], []]);
      expect(pass.stranded).toMatchObject([{ machine: { name: 'm3' }, units: ['c.service'] }]);
      expect(missingLines(pass)).toEqual([
        'Warning: Machine "m3" has no address in the registry, and is not in this fleet.conf; the state of its units is unknown',
        'hint: Add it to fleet.conf; or, if it has left the cluster: fleetctl machines remove m3',
      ]);
    }
    const { groups, decisions } = toDo(await observeCluster(theirs));
    expect(groups.flatMap(({ units }) => [...units])).not.toContain('c.service');
    expect(decisions).toContainEqual(expect.objectContaining({ kind: 'keep', unit: 'c.service' }));
    expect([scene.there(), await scene.wanted()]).toEqual(before);
  });

  it('is in lists, as one that does not answer', async () => {
    const { theirs } = await twoOperators('m1', 'm2');
    const { rows, unreachable } = await withMachineSnapshots(theirs, listMachines);
    expect(rows.map(({ name, state }) => `${name} ${state}`).toSorted()).toEqual([
      'm1 reachable',
      'm2 reachable',
    ]);
    expect(unreachable.map(({ message }) => message)).toEqual([
      'Machine "m3" has no address in the registry, and is not in this fleet.conf',
    ]);
    expect((await withMachineSnapshots(theirs, listUnits)).rows).toContainEqual(
      expect.objectContaining({
        unit: 'c.service',
        state: expect.objectContaining({ sub: 'unreachable' }),
        machine: expect.objectContaining({ name: 'm3' }),
      }),
    );
  });

  it('is not said to have done what was asked', async () => {
    const { theirs, ...scene } = await twoOperators('m1', 'm2');
    const { results } = await unload(theirs, ['c.service']);
    expect(results[0]?.failures).toEqual([
      {
        machine: expect.objectContaining({ name: 'm3' }),
        failure: expect.objectContaining({ code: 'unreachable' }),
      },
    ]);
    expect(await scene.wanted()).toMatchObject({ 'c.service': 'inactive m3' });
  });

  it('does not count as silent where silence of most machines means that the network here is down', async () => {
    const { theirs, ...scene } = await twoOperators('m1');
    expect((await reconcileEverything(theirs)).cutOff).toBe(false);
    const request = { units: ['new.service'], cwd: scene.cwd, replace: false };
    expect((await start(theirs, request)).results[0]?.machines).toMatchObject([{ name: 'm1' }]);
  });

  it('loses its units when a command has removed it', async () => {
    const { theirs, ...scene } = await twoOperators('m1', 'm2');
    expect(await forgetMachine(theirs.registry, 'm3')).toEqual(['c.service']);
    expect((await reconcileEverything(theirs)).moves).toMatchObject([
      { unit: 'c.service', to: { name: 'm1' } },
    ]);
    // An operator who still has it does not use it, either.
    const { machines } = await observeCluster(scene.ports);
    expect(machines.map(({ machine }) => machine.name)).toEqual(['m1', 'm2']);
  });
});
