import { expect, it } from 'vitest';
import { guarded } from '../../src/reconcile/guard.ts';
import { UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { reportingDifferences } from '../../src/registry/proposed-machines.ts';
import { createRegistry, previewRegistry } from '../../src/registry/registry.ts';
import { Scene } from '../reconcile/scene.ts';
import { NOW } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

it('a difference between fleet.conf and the registry is reported once, by commands that read the machines', async () => {
  const store = createMemoryStore();
  const options = { clock: { now: () => NOW }, author: 'me@here' };
  const registry = createRegistry(store, options);
  await registry.update(() => [
    { kind: 'put-machine', name: 'm1', known: { ...UNKNOWN_MACHINE, address: '10.0.0.1' } },
  ]);
  const reported: string[] = [];
  const open = () => {
    reported.length = 0;
    const proposed = [{ name: 'm1', address: '10.0.0.9', metadata: undefined }];
    return reportingDifferences(registry, proposed, ({ name }) => reported.push(name));
  };
  const { ports } = new Scene([]);

  await open().read(({ unitNames }) => unitNames);
  expect(reported).toEqual([]);
  for (const used of [
    open,
    () => previewRegistry(open(), options),
    () => guarded({ ...ports, registry: open() }).registry,
  ]) {
    const each = used();
    await each.load();
    await each.load();
    expect(reported).toEqual(['m1']);
  }
});
