import { describe, expect, it } from 'vitest';
import { drain } from '../../src/operations/drain.ts';
import { releaseVoter } from '../../src/operations/release-voter.ts';
import { openQuorumStore } from '../../src/quorum/store.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { ModelVoters, memoryCache } from '../quorum/model-voters.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

type Cluster = {
  readonly scene: Scene;
  readonly ports: Ports;
  readonly names: () => Promise<string>;
  readonly down: (...machines: readonly string[]) => void;
};

/** A cluster that stores its registry; one unit is launched. */
async function makeCluster(count: number): Promise<Cluster> {
  const machines = Array.from({ length: count }, (_, index) => `m${index + 1}`);
  const voters = new ModelVoters();
  const store = openQuorumStore({
    register: 'head',
    machines: machines.map((machine) => ({ machine, mark: undefined })),
    belongsTo: () => true,
    ask: (machine, request) => voters.ask(machine, request),
    cache: memoryCache(),
  });
  const scene = await makeScene(Object.fromEntries(machines.map((name) => [name, {}])), store);
  await scene.write('a.service', SLEEP);
  await scene.start('a');
  const port = {
    tend: store.tend.bind(store),
    look: store.look.bind(store),
    former: () => store.former,
    names: () => store.names(),
    remains: async () => undefined,
    marks: new Map(),
  };
  return {
    scene,
    ports: { ...scene.ports, voters: port },
    names: async () => [...(await store.names())].sort().join(' '),
    down(...gone) {
      for (const machine of gone) {
        voters.down.add(machine);
        scene.machines.disconnect(machine);
      }
    },
  };
}

const refused = (kind: string): string =>
  `Cannot ${kind} machine "m1": it stores the registry, and no other machine can replace it now`;

describe('a machine that is removed', () => {
  const departure = { machine: 'm1', kind: 'remove' } as const;

  it.each([
    [2, 'm1', 'm2'],
    [3, 'm1 m2 m3', 'm2'],
    [4, 'm1 m2 m3', 'm2 m3 m4'],
    [7, 'm1 m2 m3 m4 m5', 'm2 m3 m4'],
  ])('is no voter any more, in a cluster of %i machines', async (count, before, after) => {
    const { ports, names } = await makeCluster(count);
    expect(await names()).toBe(before);
    await releaseVoter(ports, departure);
    expect(await names()).toBe(after);
  });

  it.each([
    [1, []],
    [2, ['m2']],
    [4, ['m4']],
  ])('stays while no other machine of %i can be a voter, and nothing changes', async (count, gone) => {
    const { ports, names, down } = await makeCluster(count);
    down(...gone);
    const before = await names();
    await expect(releaseVoter(ports, departure)).rejects.toThrow(refused('remove'));
    expect(await names()).toBe(before);
  });

  it('is found by the name that it had when it became a voter', async () => {
    const { ports, names } = await makeCluster(2);
    await ports.registry.update((view) => [
      { kind: 'delete-machine', name: 'm1', renamedTo: 'web' },
      { kind: 'put-machine', name: 'web', known: { ...known(view.machines.get('m1')), address: '10.0.0.1' } },
    ]);
    await releaseVoter(ports, { machine: 'web', kind: 'remove' });
    expect(await names()).toBe('m2');
  });

  it('stays if the voters do not change, although they could', async () => {
    const { ports, names } = await makeCluster(2);
    const voters = { ...voterPorts(ports), tend: async () => [] };
    await expect(releaseVoter({ ...ports, voters }, departure)).rejects.toThrow(refused('remove'));
    expect(await names()).toBe('m1');
  });

  it('may be no voter', async () => {
    const { ports, names } = await makeCluster(4);
    await releaseVoter(ports, { machine: 'm4', kind: 'remove' });
    expect(await names()).toBe('m1 m2 m3');
  });
});

describe('a machine that is drained', () => {
  const request = { machine: 'm1', maxParallel: 1, globals: false };

  it.each([
    [2, 'm2'],
    [3, 'm1 m2 m3'],
    [4, 'm2 m3 m4'],
  ])('is no voter any more if one of %i machines is free', async (count, after) => {
    const { ports, names, scene } = await makeCluster(count);
    await scene.ports.registry.update((view) =>
      [...view.units.values()].map((unit) => ({ kind: 'put-unit', unit: { ...unit, machine: undefined } })),
    );
    await drain(ports, request);
    expect(await names()).toBe(after);
  });

  it.each([
    [2, ['m2']],
    [3, ['m2']],
  ])('keeps its units while the registry needs it, in a cluster of %i', async (count, gone) => {
    const { ports, names, down } = await makeCluster(count);
    const before = await names();
    down(...gone);
    await expect(drain(ports, request)).rejects.toThrow(refused('drain'));
    expect(await names()).toBe(before);
    expect((await ports.registry.load()).machines.get('m1')?.cordon).toBeUndefined();
  });
});

function voterPorts({ voters }: Ports): NonNullable<Ports['voters']> {
  if (voters === undefined) throw new TypeError('no voters');
  return voters;
}

function known<T>(machine: T | undefined): T {
  if (machine === undefined) throw new TypeError('no such machine');
  return machine;
}
