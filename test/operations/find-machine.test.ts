import { expect, it } from 'vitest';
import { FleetError, isFleetError } from '../../src/base/errors.ts';
import { findLogin, findMachine, type MachineQuestion } from '../../src/operations/find-machine.ts';
import { observeCluster } from '../../src/operations/observe-cluster.ts';
import { idOf } from '../support/builders.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

/** Unit a on m1, global unit g on all three, unit m2 like the machine, template t@, and idle, which is nowhere. */
async function busyScene(): Promise<Scene> {
  const scene = await makeScene();
  await scene.write('a.service', `${SLEEP}[X-Fleet]\nMachineID=${idOf('m1')}\n`);
  await scene.write('g.service', GLOBAL);
  for (const name of ['m2', 'idle', 't@']) await scene.write(`${name}.service`, SLEEP);
  await scene.start('a', 'g');
  await scene.submit(['m2', 'idle', 't@']);
  return scene;
}

async function ask({ ports }: Scene, text: string, kind: MachineQuestion['kind'] = 'either') {
  try {
    return (await findMachine(ports, { kind, text })).name;
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

it.each<readonly [string, string, MachineQuestion['kind'], string]>([
  ['a machine by its name', 'm1', 'either', 'm1'],
  ['a machine by its address', '10.0.0.3', 'either', 'm3'],
  ['a machine by its id', idOf('m3'), 'either', 'm3'],
  ['a machine where a unit has the name too', 'm2', 'machine', 'm2'],
  ['where a unit is', 'a', 'either', 'm1'],
  ['where a unit is, by its whole name', 'a.service', 'unit', 'm1'],
  ['where a unit is, by a path', './a.service', 'either', 'm1'],
])('finds %s', async (_, text, kind, name) => {
  expect(await ask(await busyScene(), text, kind)).toBe(name);
});

it('finds a machine of fleet.conf for a login if the registry cannot be read, and says why', async () => {
  const { ports } = await busyScene();
  const error = new FleetError('registry-no-majority', 'Cannot read the registry');
  const load = () => Promise.reject(error);
  const without = { ...ports, registry: { ...ports.registry, load } };
  const unread: FleetError[] = [];
  const find = (kind: MachineQuestion['kind'], text: string) =>
    findLogin(without, { kind, text }, (reason) => unread.push(reason));
  for (const text of ['m2', '10.0.0.2'])
    expect(await find('either', text)).toMatchObject({ name: 'm2', address: '10.0.0.2' });
  expect(unread).toEqual([error, error]);
  await expect(find('unit', 'm2')).rejects.toBe(error);
  await expect(find('either', 'a')).rejects.toBe(error);
  expect(unread).toHaveLength(2);
});

it.each<readonly [string, string, MachineQuestion['kind'], string]>([
  [
    'a machine and a unit',
    'm2',
    'either',
    `usage: "m2" is ambiguous: machine m2 (${idOf('m2').slice(0, 8)}.../10.0.0.2), or unit "m2.service"`,
  ],
  [
    'several machines',
    '6d3',
    'either',
    'usage: "6d3" matches several machines: m1 (6d310000.../10.0.0.1), m2 (6d320000.../10.0.0.2), m3 (6d330000.../10.0.0.3)',
  ],
  [
    'the machines of a global unit',
    'g',
    'either',
    'usage: Unit "g.service" is on several machines: m1 (6d310000.../10.0.0.1), m2 (6d320000.../10.0.0.2), m3 (6d330000.../10.0.0.3)',
  ],
  ['nothing', 'gone', 'either', 'machine-not-found: No such machine or unit: "gone"'],
  [
    'nothing, though it could begin an id',
    'ff',
    'either',
    'machine-not-found: No such machine or unit: "ff"',
  ],
  ['no machine', 'a', 'machine', 'machine-not-found: No such machine: "a"'],
  ['no unit', 'm1', 'unit', 'unit-not-found: No such unit: "m1.service"'],
  ['a unit that is on no machine', 'idle', 'either', 'not-loaded: Unit "idle.service" is on no machine'],
  ['a template, which is on none either', 't@', 'either', 'not-loaded: Unit "t@.service" is on no machine'],
])('says so when a word means %s', async (_, text, kind, message) => {
  expect(await ask(await busyScene(), text, kind)).toBe(message);
});

it('refuses what can be no unit name only where a unit is meant', async () => {
  const scene = await busyScene();
  expect(await ask(scene, '[::1]')).toBe('machine-not-found: No such machine or unit: "[::1]"');
  expect(await ask(scene, 'a b', 'unit')).toMatch(/^unit-name: /);
});

it('asks no machine when the registry knows enough', async () => {
  const scene = await busyScene();
  const { ports } = scene;
  const driver = { ...ports.driver, connect: () => expect.unreachable('a machine was asked') };
  for (const text of ['m3', '10.0.0.3', idOf('m3'), 'a'])
    expect(await ask({ ...scene, ports: { ...ports, driver } }, text)).toMatch(/^m[13]$/);
});

it('asks the machines for an id that the registry does not know yet', async () => {
  expect(await ask(await makeScene(), idOf('m2').slice(0, 4))).toBe('m2');
});

it('goes to the only machine that has a global unit', async () => {
  const scene = await busyScene();
  for (const name of ['m1', 'm3']) scene.machines.disconnect(name);
  expect(await ask(scene, 'g')).toBe('m2');
});

it('finds a machine that is unreachable by what is remembered of it', async () => {
  const scene = await busyScene();
  scene.machines.disconnect('m1');
  await observeCluster(scene.ports);
  expect(await ask(scene, 'a')).toBe('m1');
  expect(await ask(scene, idOf('m1'))).toBe('m1');
});
