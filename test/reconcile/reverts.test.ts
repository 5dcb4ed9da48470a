import { expect, it } from 'vitest';
import type { Reverted } from '../../src/cluster/confirmation.ts';
import { snapshotOf } from '../../src/reconcile/snapshot.ts';
import { desiredUnit, idOf, NOW } from '../support/builders.ts';
import { Scene } from './scene.ts';

const NAME = 'a.service';
const CONFIRM = 'Confirm=30s\nMachineMetadata=name=m1';

/** The machines whose report about that text counts; every machine sends one. */
async function believed(fleet: string, digest = desiredUnit(NAME, fleet).digest): Promise<readonly string[]> {
  const scene = new Scene(['m1', 'm2']);
  await scene.want('launched', fleet, NAME);
  await scene.pass(NAME);
  const registry = await scene.registry.load();
  const report = {
    ...{ unit: NAME, token: registry.units.get(NAME)?.token ?? 0, hash: '', digest, windowMs: 1000 },
    ...{ state: 'reverted', why: 'failed', at: NOW + 1 },
  } as const satisfies Reverted;
  const views = scene.ports.machines.map(({ name }) => {
    const fake = scene.driver.of(name);
    const observation = fake.observe({ names: [], digests: true });
    return {
      ...{ machine: fake.machine, id: idOf(name), backSince: undefined },
      observation: { ...observation, confirmations: [report] },
    };
  });
  return snapshotOf(scene.ports, registry, views)
    .machines.filter(({ observation }) => observation?.confirmations?.length === 1)
    .map(({ machine }) => machine.name);
}

it.each([
  ['a unit of this machine', CONFIRM, ['m1']],
  ['a global unit', 'Confirm=30s\nGlobal=true', ['m1', 'm2']],
  ['a text without Confirm=', 'MachineMetadata=name=m1', []],
])('a machine is believed to have reverted %s', async (_, fleet, machines) => {
  expect(await believed(fleet)).toEqual(machines);
});

it('a machine is believed to have reverted an earlier text of its unit', async () => {
  expect(await believed('MachineMetadata=name=m1', 'earlier')).toEqual(['m1']);
});
