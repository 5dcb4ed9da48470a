import { describe, expect, it } from 'vitest';
import type { Machine, ProposedMachine } from '../../src/machine/machine.ts';
import { type Edit, type KnownMachine, UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { clusterMachines, type Inventory, inventoryDifferences } from '../../src/registry/inventory.ts';
import { addingMachines } from '../../src/registry/proposed-machines.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import { desiredUnit, idOf, NOW } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { pick, seeded, seeds } from '../support/random.ts';

const NAMES = ['m1', 'm2', 'm3', 'm4', 'm5'];
const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.2:2222', 'h.example', 'H.example.'];
const METADATA = [{}, { disk: 'ssd' }, { disk: 'hdd', zone: 'a' }];

function registryOf(): Registry {
  return createRegistry(createMemoryStore(), { clock: { now: () => NOW }, author: 'me@here' });
}

/** A change of units, which says nothing about machines. */
const CHANGE = (): readonly Edit[] => {
  const { name, text, hash, digest, target } = desiredUnit('a.service', '');
  return [{ kind: 'put-unit', unit: { name, text, hash, digest, target, machine: undefined } }];
};

const put = (name: string, known: Partial<KnownMachine>): Edit => ({
  kind: 'put-machine',
  name,
  known: { ...UNKNOWN_MACHINE, ...known },
});

/** A fleet.conf with some of the machines; names are unique in it, and end points are, too. */
function randomConf(random: () => number): readonly ProposedMachine[] {
  const taken = new Set<string>();
  return NAMES.flatMap((name) => {
    const address = pick(random, ADDRESSES);
    const key = address.toLowerCase().replace(/\.$/, '');
    if (random() < 0.4 || taken.has(key)) return [];
    taken.add(key);
    return [{ name, address, metadata: random() < 0.3 ? undefined : pick(random, METADATA) }];
  });
}

/** Documents with and without an address (version 0.1.0), and removed ones. */
async function randomRegistry(random: () => number): Promise<Registry> {
  const registry = registryOf();
  const taken = new Set<string>();
  await registry.update(() => [
    ...CHANGE(),
    ...NAMES.flatMap((name): readonly Edit[] => {
      const address = pick(random, ADDRESSES);
      const key = address.toLowerCase().replace(/\.$/, '');
      const kind = taken.has(key) ? 'none' : pick(random, ['none', 'known', 'old', 'removed']);
      if (kind === 'none') return [];
      if (kind === 'removed') return [{ kind: 'delete-machine', name }];
      if (kind === 'old') return [put(name, { id: idOf(name) })];
      taken.add(key);
      return [put(name, { id: idOf(name), address, metadata: pick(random, METADATA), cordon: 'all' })];
    }),
  ]);
  return registry;
}

const byName = (machines: readonly Machine[]): ReadonlyMap<string, Machine> =>
  new Map(machines.map((machine) => [machine.name, machine]));

describe('the machines of a cluster, for random registries and fleet.confs,', () => {
  const cases = seeds(100);
  const each = async (
    check: (view: RegistryView, conf: readonly ProposedMachine[], registry: Registry) => void | Promise<void>,
  ): Promise<void> => {
    for (const seed of cases) {
      const random = seeded(seed);
      const registry = await randomRegistry(random);
      await check(await registry.load(), randomConf(random), registry);
    }
  };

  it('include all with an address in the registry, as it describes them, whatever the fleet.conf has', () =>
    each((view, conf) => {
      const found = byName(clusterMachines(view, conf));
      for (const [name, { address, metadata = {} }] of view.machines) {
        if (address !== undefined) expect(found.get(name)).toEqual({ name, address, metadata });
      }
    }));

  it('do not include those that a command has removed', () =>
    each((view, conf) => {
      const found = byName(clusterMachines(view, conf));
      for (const name of view.removed.keys()) expect(found.has(name)).toBe(false);
    }));

  it('have unique names and end points', () =>
    each((view, conf) => {
      const found = clusterMachines(view, conf);
      expect(byName(found).size).toBe(found.length);
      const points = found.map(({ address }) => address.toLowerCase().replace(/\.$/, ''));
      expect(new Set(points).size).toBe(points.length);
    }));

  it('include every other machine of the fleet.conf, as it describes it', () =>
    each((view, conf) => {
      const found = byName(clusterMachines(view, conf));
      const unused = new Set(
        inventoryDifferences(view, conf).flatMap(({ kind, name }) => (kind === 'changed' ? [] : name)),
      );
      for (const { name, address, metadata = {} } of conf) {
        if (view.machines.get(name)?.address === undefined && !unused.has(name))
          expect(found.get(name)).toEqual({ name, address, metadata });
      }
    }));

  it('stay the same for every operator after a change, and no document is lost', () =>
    each(async (view, conf, registry) => {
      const before = clusterMachines(view, conf);
      const after = await addingMachines(registry, conf).update(CHANGE);
      expect(byName(clusterMachines(after, []))).toEqual(byName(before));
      expect(byName(clusterMachines(after, conf))).toEqual(byName(before));
      for (const [name, known] of view.machines) {
        const { address, metadata, ...rest } = known;
        expect(after.machines.get(name)).toMatchObject(rest);
        if (address !== undefined) expect(after.machines.get(name)).toEqual(known);
      }
      expect([...after.removed.keys()]).toEqual([...view.removed.keys()]);
    }));
});

describe('a change of the registry', () => {
  const CONF = [
    { name: 'm1', address: '10.0.0.1', metadata: { disk: 'ssd' } },
    { name: 'm2', address: '10.0.0.2', metadata: undefined },
  ];

  it('takes over the documents of version 0.1.0 with all that they have', async () => {
    const registry = registryOf();
    const old = { id: idOf('m1'), cordon: 'all', silentSince: NOW } as const;
    await registry.update(() => [...CHANGE(), put('m1', old), put('gone', { id: idOf('gone') })]);
    const view = await addingMachines(registry, CONF).update(() => [{ kind: 'log', events: [] }]);
    expect(view.machines.get('m1')).toMatchObject({ ...old, address: '10.0.0.1', metadata: { disk: 'ssd' } });
    expect(view.machines.get('m2')).toMatchObject({ address: '10.0.0.2' });
    expect(view.machines.get('gone')).toEqual({ ...UNKNOWN_MACHINE, id: idOf('gone') });
    expect(view.events.flatMap(({ events }) => events)).toContainEqual({
      kind: 'machine-added',
      machine: 'm2',
      address: '10.0.0.2',
    });
  });

  it('completes the edits of the same machines', async () => {
    const registry = registryOf();
    await registry.update(CHANGE);
    const edits = [put('m1', { id: idOf('m1') }), put('m1', { id: idOf('m1'), cordon: 'all' })];
    const view = await addingMachines(registry, CONF).update(() => edits);
    expect(view.machines.get('m1')).toMatchObject({ cordon: 'all', address: '10.0.0.1' });
  });

  it('logs each machine that it adds once, and none that it removes', async () => {
    const registry = registryOf();
    await registry.update(CHANGE);
    const removed: Edit = { kind: 'delete-machine', name: 'm2' };
    const view = await addingMachines(registry, CONF).update(() => [put('m1', { id: idOf('m1') }), removed]);
    expect(view.events.at(-1)?.events).toEqual([
      { kind: 'machine-added', machine: 'm1', address: '10.0.0.1' },
      { kind: 'machine-removed', machine: 'm2' },
    ]);
  });

  it('adds nothing if it has no edits, and no machine that it removes', async () => {
    const registry = registryOf();
    await registry.update(CHANGE);
    const adding = addingMachines(registry, CONF);
    expect((await adding.update(() => [])).machines.size).toBe(0);
    const view = await adding.update(() => [{ kind: 'delete-machine', name: 'm1' }]);
    expect([[...view.machines.keys()], [...view.removed.keys()]]).toEqual([['m2'], ['m1']]);
    expect(clusterMachines(await adding.update(CHANGE), CONF).map(({ name }) => name)).toEqual(['m2']);
  });
});

describe('the differences of a fleet.conf', () => {
  const known = (address: string, metadata = {}): KnownMachine => ({ ...UNKNOWN_MACHINE, address, metadata });
  const inventory: Inventory = {
    machines: new Map([
      ['m1', known('10.0.0.1', { disk: 'ssd' })],
      ['old', UNKNOWN_MACHINE],
    ]),
    removed: new Map([['m3', { at: NOW, by: 'me@here' }]]),
  };

  it('are other addresses and metadata, removed machines, and addresses of other machines', () => {
    const conf = [
      { name: 'm1', address: '10.0.0.9', metadata: { disk: 'hdd' } },
      { name: 'm3', address: '10.0.0.3', metadata: undefined },
      { name: 'm4', address: '10.0.0.1', metadata: undefined },
      { name: 'old', address: '10.0.0.4', metadata: undefined },
      { name: 'new', address: '10.0.0.5', metadata: undefined },
    ];
    expect(inventoryDifferences(inventory, conf)).toEqual([
      {
        kind: 'changed',
        name: 'm1',
        address: { registry: '10.0.0.1', proposed: '10.0.0.9' },
        metadata: { registry: { disk: 'ssd' }, proposed: { disk: 'hdd' } },
      },
      { kind: 'removed', name: 'm3', removed: { at: NOW, by: 'me@here' } },
      { kind: 'taken', name: 'm4', address: '10.0.0.1', holder: 'm1' },
    ]);
  });

  it('are not the spelling of an address, the order of metadata, or a key that a section does not have', () => {
    const same = new Map([['m1', known('H.example', { a: '1', b: '2' })]]);
    const conf = (metadata: ProposedMachine['metadata']): readonly ProposedMachine[] => [
      { name: 'm1', address: 'h.example.', metadata },
    ];
    expect(inventoryDifferences({ machines: same }, conf({ b: '2', a: '1' }))).toEqual([]);
    expect(inventoryDifferences({ machines: same }, conf(undefined))).toEqual([]);
    expect(inventoryDifferences({ machines: same }, conf({}))).toHaveLength(1);
  });
});
