import { describe, expect, it } from 'vitest';
import { load, start, submitUnits } from '../../src/operations/set-target-state.ts';
import { systemdState } from '../support/builders.ts';
import { makeScene, outcome, type Scene, SLEEP } from './scene.ts';

const TIMER = '[Timer]\nOnActiveSec=1h\n';
const REFUSED = ['x.timer: not-loaded'];

async function sceneWith(files: Readonly<Record<string, string>>): Promise<Scene> {
  const scene = await makeScene();
  for (const [name, text] of Object.entries(files)) await scene.write(name, text);
  return scene;
}

/** Puts a unit on a machine that is not of fleet. */
function putForeign(scene: Scene, machine: string, name: string): void {
  scene.machines
    .of(machine)
    .units.set(name, { text: undefined, record: undefined, state: systemdState('dead') });
}

describe('a timer without its service', () => {
  it('is refused before anything is written', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER });
    const request = await scene.start('x.timer');
    expect(outcome(request)).toEqual(REFUSED);
    expect(request.problems[0]?.error).toMatchObject({
      message:
        'Cannot start unit "x.timer": it starts "x.service", which is neither in the registry nor on a machine',
      hint: 'Submit it first: fleetctl submit x.service',
    });
    expect(await scene.wanted()).toEqual({});
    expect(scene.there()).toEqual({});
  });

  it.each(['load', 'submit'] as const)('is refused by %s with a file that would be pushed', async (verb) => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.load('x.timer', 'x.service');
    await scene.write('x.timer', `${TIMER}Unit=other.service\n`);
    const replace = { units: ['x.timer'], cwd: scene.cwd, replace: true };
    const request = await (verb === 'load' ? load : submitUnits)(scene.edges, replace);
    expect(outcome(request)).toEqual(REFUSED);
    expect(request.problems[0]?.error.message).toMatch(
      new RegExp(`^Cannot ${verb} unit "x.timer": it starts "other`),
    );
  });

  it('is refused by load like by start, and may be submitted', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER });
    expect(outcome(await scene.load('x.timer'))).toEqual(REFUSED);
    expect(await scene.wanted()).toEqual({});
    expect((await scene.submit(['x.timer'])).problems).toEqual([]);
  });

  it('hides nothing of the others', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'web.service': SLEEP });
    expect(outcome(await scene.start('x.timer', 'web'))).toEqual(['web.service: launched m1', ...REFUSED]);
  });

  it.each([
    ['a socket', 's.socket', '[Socket]\nListenStream=/run/s\n'],
    ['an automount', 'data.automount', '[Automount]\nWhere=/data\n'],
    ['a path', 'p.path', '[Path]\nPathExists=/run/p\n'],
    ['a timer that names its unit', 't.timer', `${TIMER}Unit=other.service\n`],
    ['the timer of an instance', 't@1.timer', TIMER],
  ])('is refused like %s', async (_, unit, text) => {
    const scene = await sceneWith({ [unit]: text });
    expect(outcome(await scene.start(unit))).toEqual([`${unit}: not-loaded`]);
  });

  it('is refused too when it is in the registry already', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER });
    await scene.submit(['x.timer']);
    expect(outcome(await scene.start('x.timer'))).toEqual(REFUSED);
  });

  it('is judged by the text that --replace takes', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.service', 'x.timer');
    await scene.write('x.timer', `${TIMER}Unit=other.service\n`);
    const request = { units: ['x.timer'], cwd: scene.cwd };
    expect(outcome(await start(scene.edges, { ...request, replace: false }))).toEqual([
      'x.timer: launched m1',
    ]);
    expect(outcome(await start(scene.edges, { ...request, replace: true }))).toEqual(REFUSED);
  });
});

describe('a timer is started', () => {
  it('with its service among the arguments, in any order', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    expect(outcome(await scene.start('x.timer', 'x.service'))).toEqual([
      'x.service: launched m1',
      'x.timer: launched m1',
    ]);
  });

  it('with its service in the registry', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.submit(['x.service']);
    expect(outcome(await scene.start('x.timer'))).toEqual(['x.timer: launched m1']);
  });

  it('with a service that a machine has from elsewhere', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER });
    putForeign(scene, 'm2', 'x.service');
    expect(outcome(await scene.start('x.timer'))).toEqual(['x.timer: launched m1']);
  });

  it('where the sockets of a template make the services: Accept=yes', async () => {
    const scene = await sceneWith({ 's.socket': '[Socket]\nListenStream=/run/s\nAccept=yes\n' });
    expect(outcome(await scene.start('s.socket'))).toEqual(['s.socket: launched m1']);
  });
});
