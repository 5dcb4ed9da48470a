import { expect, it } from 'vitest';
import { adopt } from '../../src/operations/adopt.ts';
import { type StateName, systemdState } from '../support/builders.ts';
import { GLOBAL, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

/** A scene with a unit on m2 that fleet did not install. */
async function sceneWith(state: StateName, text = SLEEP, fragment?: string): Promise<Scene> {
  const scene = await makeScene();
  await scene.write('other.service', SLEEP);
  await scene.start('other.service');
  const path = fragment ?? '/etc/systemd/system/old.service';
  scene.machines.of('m2').units.set('old.service', {
    text,
    record: undefined,
    state: systemdState(state, { fragment: path, invocation: 'before' }),
  });
  return scene;
}

const request = { unit: 'old', machine: 'm2' };

it('takes over a running unit without touching its run', async () => {
  const scene = await sceneWith('running');
  expect(outcome(await adopt(scene.ports, request))).toEqual(['old.service: launched m2']);
  const { units, log } = scene.machines.of('m2');
  expect(log.filter((line) => line.endsWith('old.service'))).toEqual([
    'adopt old.service',
    'record old.service',
  ]);
  expect(units.get('old.service')).toMatchObject({
    text: SLEEP,
    record: { target: 'launched' },
    state: { invocation: 'before' },
  });
  expect(await scene.wanted()).toMatchObject({ 'old.service': 'launched m2' });
});

it('loads a unit that does not run, and does not start it', async () => {
  const scene = await sceneWith('dead');
  expect(outcome(await adopt(scene.ports, request))).toEqual(['old.service: loaded m2']);
  expect(scene.there().m2).toEqual(['old.service dead']);
});

/** A scene with an instance on m2 that runs from the template of an administrator. */
async function sceneWithInstance(folder = '/etc/systemd/system'): Promise<Scene> {
  const scene = await makeScene();
  const { units } = scene.machines.of('m2');
  const fragment = `${folder}/old@.service`;
  units.set('old@.service', { text: SLEEP, record: undefined, state: systemdState('dead', { fragment }) });
  units.set('old@1.service', {
    text: undefined,
    record: undefined,
    state: systemdState('running', { fragment, invocation: 'before' }),
  });
  return scene;
}

const INSTANCE = { unit: 'old@1', machine: 'm2' };

it('takes over an instance with the text of its template, without touching its run', async () => {
  const scene = await sceneWithInstance();
  expect(outcome(await adopt(scene.ports, INSTANCE))).toEqual(['old@1.service: launched m2']);
  const { units, log } = scene.machines.of('m2');
  expect(log).toEqual(['adopt old@1.service', 'record old@1.service']);
  expect(units.get('old@1.service')).toMatchObject({ text: SLEEP, state: { invocation: 'before' } });
  expect(units.get('old@.service')?.record).toBeUndefined();
  const stored = (await scene.ports.registry.load()).units;
  expect(stored.get('old@1.service')).toMatchObject({ text: SLEEP, fromTemplate: true });
  expect(stored.has('old@.service')).toBe(false);
});

it('gives an instance a separate text if the registry has another one of its template', async () => {
  const scene = await sceneWithInstance();
  await scene.write('old@.service', `${SLEEP}Nice=1\n`);
  await scene.submit(['old@.service']);
  await adopt(scene.ports, INSTANCE);
  const stored = (await scene.ports.registry.load()).units.get('old@1.service');
  expect(stored).toMatchObject({ text: SLEEP, fromTemplate: false });
  expect(scene.machines.of('m2').log).not.toContain('start old@1.service');
});

it('names the command that makes a copy of the file of a package', async () => {
  const scene = await sceneWithInstance('/usr/lib/systemd/system');
  await expect(adopt(scene.ports, INSTANCE)).rejects.toMatchObject({
    hint: "Copy it: fleetctl ssh m2 'cp --remove-destination /usr/lib/systemd/system/old@.service /etc/systemd/system/old@1.service && systemctl daemon-reload'",
  });
});

it('names it with the tool that gives root rights there', async () => {
  const scene = await sceneWithInstance('/usr/lib/systemd/system');
  const { driver } = scene.ports;
  const connect: typeof driver.connect = (machine) => ({ ...driver.connect(machine), become: 'doas' });
  const ports = { ...scene.ports, driver: { ...driver, connect } };
  await expect(adopt(ports, INSTANCE)).rejects.toMatchObject({
    hint: String.raw`Copy it: fleetctl ssh m2 'doas sh -c '\''cp --remove-destination /usr/lib/systemd/system/old@.service /etc/systemd/system/old@1.service && systemctl daemon-reload'\'''`,
  });
});

it.each<[string, Parameters<typeof sceneWith>, typeof request]>([
  ['does not have it', ['running'], { unit: 'gone', machine: 'm2' }],
  ['does not have it', ['running'], { unit: 'old', machine: 'm1' }],
  ['No such machine', ['running'], { unit: 'old', machine: 'm9' }],
  ['the registry has it already', ['running'], { unit: 'other', machine: 'm1' }],
  ['not a regular file of the administrator', ['running', SLEEP, '/usr/lib/old.service'], request],
  ['it is global', ['running', GLOBAL], request],
  ['Cannot adopt template', ['running'], { unit: 'old@', machine: 'm2' }],
])('is refused without a change: %s', async (message, making, asked) => {
  const scene = await sceneWith(...making);
  const before = await scene.wanted();
  await expect(adopt(scene.ports, asked)).rejects.toThrow(message);
  expect(await scene.wanted()).toEqual(before);
  expect(scene.machines.of('m2').units.get('old.service')?.record).toBeUndefined();
});

it('does not take over a unit of a machine that does not answer', async () => {
  const scene = await sceneWith('running');
  scene.machines.disconnect('m2');
  await expect(adopt(scene.ports, request)).rejects.toThrow('Cannot reach machine "m2"');
});
