import { expect, it } from 'vitest';
import type { Confirmation } from '../../src/cluster/confirmation.ts';
import { newReverts } from '../../src/reconcile/snapshot.ts';
import { desiredUnit, idOf, NOW } from '../support/builders.ts';
import { Scene } from './scene.ts';

const NAME = 'a.service';
const CONFIRM = 'Confirm=30s\nMachineMetadata=name=m1';
const PLAIN = 'MachineMetadata=name=m1';

type Options = {
  /** The text of the report, by its `[X-Fleet]`; that of the unit by default. */
  readonly about?: string;
  /** Added to the token of the unit. */
  readonly ahead?: number;
  readonly cluster?: string;
};

/** The machines whose report about a text counts; every machine sends one. */
async function believed(
  fleet: string,
  { about = fleet, ahead = 0, cluster }: Options = {},
): Promise<readonly string[]> {
  const scene = new Scene(['m1', 'm2']);
  for (const each of [about, fleet]) await scene.want('launched', each, NAME);
  await scene.pass(NAME);
  const registry = await scene.registry.load();
  const { digest } = desiredUnit(NAME, about);
  const token = (registry.units.get(NAME)?.token ?? 0) + ahead;
  const report = { unit: NAME, token, hash: '', digest, windowMs: 1000, at: NOW + 1 };
  const confirmation: Confirmation = { ...report, state: 'reverted', why: 'failed' };
  const views = scene.ports.machines.map(({ name }) => {
    const fake = scene.driver.of(name);
    if (cluster !== undefined) fake.cluster = cluster;
    fake.confirmations.set(NAME, confirmation);
    const observation = fake.observe({ names: [], digests: true });
    return { machine: fake.machine, id: idOf(name), backSince: undefined, observation };
  });
  return newReverts(views, registry).map(({ held }) => held.machines.map((each) => each.name).join());
}

it.each<[string, string, readonly string[]]>([
  ['a unit of this machine', CONFIRM, ['m1']],
  ['a global unit', 'Confirm=30s\nGlobal=true', ['m1', 'm2']],
  ['a text without Confirm=', PLAIN, []],
])('a machine is believed to have reverted %s', async (_, fleet, machines) => {
  expect(await believed(fleet)).toEqual(machines);
});

it('a machine is believed to have reverted an earlier text of its unit with Confirm=, and no other text', async () => {
  expect(await believed(PLAIN, { about: CONFIRM })).toEqual(['m1']);
  expect(await believed(CONFIRM, { about: PLAIN })).toEqual([]);
});

it('a machine is not believed about decisions that were not made, and not if it belongs to another cluster', async () => {
  expect(await believed(CONFIRM, { ahead: 1 })).toEqual([]);
  expect(await believed(CONFIRM, { cluster: 'theirs' })).toEqual([]);
});
