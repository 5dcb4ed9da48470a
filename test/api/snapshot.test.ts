import { describe, expect, it } from 'vitest';
import { Cluster } from '../../src/api/cluster.ts';
import { readSnapshot, snapshotAnswer } from '../../src/api/snapshot.ts';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { cluster, desiredUnit, observedUnit } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const clock = { now: () => 1_000 };
const units = ['a.service', 'b.service'].map((name) => desiredUnit(name, 'MachineMetadata=role="web"'));
const CLUSTER = cluster([], units)
  .machine('m1', { role: 'wéb' }, { units: units.map((unit) => observedUnit(unit)) })
  .unreachable('m2', 5_000)
  .never('m3')
  .machine('m4');

/** The pieces of the answer of a controller with that snapshot. */
async function answer(snapshot: ClusterSnapshot): Promise<readonly Buffer[]> {
  const watcher = {
    ...{ snapshot, seenAt: 0, isAwake: true, troubles: [], snapshotWith: () => snapshot },
    ...{ observe: async () => undefined, takeTurn: () => undefined },
  };
  const registry = createRegistry(createMemoryStore(), { clock, author: 'me@here' });
  const known = new Cluster({ registry, watcher, origin: 'here', clock, leads: () => true });
  const { body } = await snapshotAnswer(known, {
    ...{ method: 'GET', path: [], query: new URLSearchParams(), headers: {} },
    ...{ body: async () => '', takesAWhile: () => undefined },
  });
  return body?.text as readonly Buffer[];
}

describe('the answer with a snapshot', () => {
  it('is the snapshot, for a client that reads it', async () => {
    const snapshot = CLUSTER.snapshot({ cordons: new Map([['m1', 'all']]), olderTexts: units });
    const document = readSnapshot(Buffer.concat(await answer(snapshot)).toString());
    expect(document).toEqual({ version: 1, origin: 'here', ageMs: 1_000, leads: true, snapshot });
  });

  it('without machines and units is one too', async () => {
    const snapshot = cluster().snapshot();
    expect(readSnapshot(Buffer.concat(await answer(snapshot)).toString())?.snapshot).toEqual(snapshot);
  });

  it('shares the bytes of units and observations with those before it', async () => {
    const first = await answer(CLUSTER.snapshot());
    const second = await answer(CLUSTER.snapshot({ now: 5 }));
    const shared = second.filter((piece) => first.includes(piece));
    expect(shared.map(String)).toEqual([
      expect.stringMatching(/^\[\{"name":"a\.service"/),
      expect.stringMatching(/^\{"id":.*"b\.service"/),
      expect.stringMatching(/^\{"id":/),
    ]);
  });
});
