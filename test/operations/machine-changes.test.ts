import { describe, expect, it } from 'vitest';
import {
  addMachine,
  applyMachines,
  changedPlace,
  changeMachine,
  renameMachine,
} from '../../src/operations/machine-changes.ts';
import { forgetMachine } from '../../src/operations/machine-membership.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { appliedReport, differenceLines } from '../../src/output/inventory.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { clusterMachines, inventoryDifferences } from '../../src/registry/inventory.ts';
import { addingMachines } from '../../src/registry/proposed-machines.ts';
import { idOf } from '../support/builders.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

/** Three machines that the registry has with their addresses, and a unit on one of them. */
async function begin(): Promise<Scene & { readonly ports: Ports }> {
  const scene = await makeScene({ m1: { disk: 'ssd' }, m2: {}, m3: {} });
  const ports = { ...scene.ports, registry: addingMachines(scene.ports.registry, scene.ports.machines) };
  await scene.write('a.service', `${SLEEP}[X-Fleet]\nMachineMetadata=disk=ssd\n`);
  await ports.registry.update(() => [{ kind: 'log', events: [{ kind: 'uncordon', machine: 'm1' }] }]);
  await scene.start('a');
  expect(scene.there()).toEqual({ m1: ['a.service running'] });
  return { ...scene, ports };
}

describe('a stale fleet.conf', () => {
  it('moves no unit, whether it lacks a machine or describes it otherwise', async () => {
    const { ports, there, wanted } = await begin();
    const before = [there(), await wanted()];
    const confs = [
      [{ name: 'm2', address: '10.0.0.2', metadata: { disk: 'ssd' } }],
      [{ name: 'm1', address: '10.0.0.9', metadata: {} }],
      [{ name: 'x', address: '10.0.0.1', metadata: {} }],
    ];
    for (const machines of confs) {
      const registry = addingMachines(ports.registry, machines);
      const { moves, plans, stranded } = await reconcileEverything({ ...ports, machines, registry });
      expect([moves, plans, stranded]).toEqual([[], [], []]);
    }
    expect([there(), await wanted()]).toEqual(before);
  });
});

describe('machines rename', () => {
  it('keeps id, cordon, address and metadata, and moves nothing', async () => {
    const { ports, there } = await begin();
    await ports.registry.update((view) => {
      const known = view.machines.get('m1');
      return known === undefined
        ? []
        : [{ kind: 'put-machine', name: 'm1', known: { ...known, cordon: 'standard' } }];
    });
    await renameMachine(ports, 'm1', 'front');
    const view = await ports.registry.load();
    expect(view.machines.get('front')).toMatchObject({
      id: idOf('m1'),
      cordon: 'standard',
      address: '10.0.0.1',
      metadata: { disk: 'ssd' },
    });
    expect(view.machines.has('m1')).toBe(false);
    expect(view.removed.get('m1')).toMatchObject({ by: 'me@here', renamedTo: 'front' });
    expect(view.events.at(-1)?.events).toEqual([
      { kind: 'machine-renamed', machine: 'm1', renamedTo: 'front' },
    ]);
    // The fleet.conf of another operator still has the old name.
    expect(clusterMachines(view, ports.machines).map(({ name }) => name)).toEqual(['m2', 'm3', 'front']);
    const { moves, plans, stranded } = await reconcileEverything(ports);
    expect([moves, plans, stranded]).toEqual([[], [], []]);
    expect(there()).toEqual({ m1: ['a.service running'] });
  });

  it('refuses a name that exists, and a machine that does not', async () => {
    const { ports } = await begin();
    await expect(renameMachine(ports, 'm1', 'm2')).rejects.toMatchObject({ code: 'usage' });
    await expect(renameMachine(ports, 'm9', 'm8')).rejects.toMatchObject({ code: 'machine-not-found' });
  });
});

describe('machines add and set', () => {
  it('store the machine for all operators, and refuse a name or an address that exists', async () => {
    const { ports } = await begin();
    const m4 = { name: 'm4', address: '10.0.0.4', metadata: { disk: 'hdd' } };
    await addMachine(ports, m4);
    expect(clusterMachines(await ports.registry.load(), [])).toContainEqual(m4);
    await expect(addMachine(ports, m4)).rejects.toMatchObject({ code: 'usage' });
    await expect(addMachine(ports, { ...m4, name: 'm5' })).rejects.toThrow('"m4" has the address 10.0.0.4');
    await expect(changeMachine(ports, 'm4', { address: '10.0.0.1', metadata: [] })).rejects.toThrow(
      '"m1" has the address',
    );
    await changeMachine(ports, 'm4', {
      address: '10.0.0.5',
      metadata: [
        { kind: 'add', metadata: { zone: 'a' } },
        { kind: 'remove', keys: ['disk'] },
      ],
    });
    const view = await ports.registry.load();
    expect(clusterMachines(view, [])).toContainEqual({ ...m4, address: '10.0.0.5', metadata: { zone: 'a' } });
    expect(view.events.at(-1)?.events).toEqual([
      { kind: 'machine-changed', machine: 'm4', address: '10.0.0.5', metadata: 'zone=a' },
    ]);
  });

  it('change metadata one after the other', () => {
    const place = { address: 'a', metadata: { x: '1', y: '2' } };
    const metadata = [
      { kind: 'remove', keys: ['x'] },
      { kind: 'add', metadata: { y: '3', z: '4' } },
    ] as const;
    expect(changedPlace(place, { metadata }).metadata).toEqual({ y: '3', z: '4' });
    const replaced = [...metadata, { kind: 'replace', metadata: { q: '0' } }] as const;
    expect(changedPlace(place, { metadata: replaced }).metadata).toEqual({ q: '0' });
  });

  it('leave an empty registry empty, because it may be a lost one', async () => {
    const { ports } = await makeScene();
    await addMachine(ports, { name: 'm4', address: '10.0.0.4', metadata: {} });
    await changeMachine(ports, 'm1', { metadata: [] });
    await applyMachines(ports, []);
    expect((await ports.registry.load()).clusterId).toBeUndefined();
  });

  it('lose no change of two operators at the same time', async () => {
    const { ports } = await begin();
    const add = (key: string): Promise<void> =>
      changeMachine(ports, 'm2', { metadata: [{ kind: 'add', metadata: { [key]: 'x' } }] });
    await Promise.all([add('a'), add('b'), add('c')]);
    expect((await ports.registry.load()).machines.get('m2')?.metadata).toEqual({ a: 'x', b: 'x', c: 'x' });
  });
});

describe('machines apply', () => {
  it('stores what fleet.conf has, and adds a removed machine only by its name', async () => {
    const { ports } = await begin();
    await forgetMachine(ports.registry, 'm3');
    const machines = [
      { name: 'm1', address: '10.0.0.9', metadata: undefined },
      { name: 'm2', address: '10.0.0.2', metadata: { disk: 'ssd' } },
      { name: 'm3', address: '10.0.0.3', metadata: undefined },
      { name: 'm4', address: '10.0.0.4', metadata: undefined },
    ];
    const stale = { ...ports, machines };
    const applied = await applyMachines(stale, []);
    const { out, err } = appliedReport(applied, false);
    expect(out).toEqual([
      'Machine m1 changed: address 10.0.0.9, before 10.0.0.1',
      'Machine m2 changed: metadata disk=ssd, before -',
      'Machine m4 added: address 10.0.0.4, metadata -',
    ]);
    expect(err[0]).toMatch(
      /^Note: machine "m3" of fleet.conf is not used: it was removed on \S+ by me@here$/,
    );
    const view = await ports.registry.load();
    expect(view.machines.get('m1')).toMatchObject({ address: '10.0.0.9', metadata: { disk: 'ssd' } });
    expect(inventoryDifferences(view, machines).map(({ name }) => name)).toEqual(['m3']);
    expect(appliedReport(await applyMachines(stale, ['m3']), true).out).toEqual([
      'Machine m3 would be added: address 10.0.0.3, metadata -',
    ]);
    expect(inventoryDifferences(await ports.registry.load(), machines)).toEqual([]);
    expect(await applyMachines(stale, [])).toEqual([]);
    expect(appliedReport([], false).out).toEqual(['The registry has the machines of fleet.conf already']);
    expect(appliedReport([], false, ['m1', 'm2']).out).toEqual([
      'The registry has m1, m2 as in fleet.conf already',
    ]);
  });

  it('refuses a name that fleet.conf does not have, and the address of another machine', async () => {
    const { ports } = await begin();
    await expect(applyMachines(ports, ['m9'])).rejects.toMatchObject({ code: 'machine-not-found' });
    const machines = [{ name: 'm1', address: '10.0.0.2', metadata: undefined }];
    await expect(applyMachines({ ...ports, machines }, [])).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('the notes about differences', () => {
  it('name the values, and the commands that help', () => {
    const lines = differenceLines({
      kind: 'changed',
      name: 'm1',
      address: { registry: '10.0.0.1', proposed: '10.0.0.9' },
      metadata: { registry: { disk: 'ssd' }, proposed: {} },
    });
    expect(lines).toEqual([
      'Note: machine "m1" is used with the values of the registry: address 10.0.0.1, not 10.0.0.9; metadata disk=ssd, not -',
      'hint: To store the values of fleet.conf: fleetctl machines apply m1; otherwise correct fleet.conf',
    ]);
  });
});
