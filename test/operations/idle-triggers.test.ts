import { describe, expect, it } from 'vitest';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { destroy, load, start, stop, submitUnits, unload } from '../../src/operations/set-target-state.ts';
import { systemdState } from '../support/builders.ts';
import { FALSE, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

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
    const request = await (verb === 'load' ? load : submitUnits)(scene.ports, replace);
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

  it('hides no other unit', async () => {
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
    expect(outcome(await start(scene.ports, { ...request, replace: false }))).toEqual([
      'x.service: loaded m1',
      'x.timer: launched m1',
    ]);
    expect(outcome(await start(scene.ports, { ...request, replace: true }))).toEqual(REFUSED);
  });
});

describe('a unit whose timer is wanted', () => {
  it('is stopped alone, and an unreachable machine is reported for that unit only', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.timer', 'x.service');
    scene.machines.disconnect('m1');
    const { results } = await stop(scene.ports, ['x.service']);
    expect(results.map(({ unit, failures }) => [unit, failures.length])).toEqual([['x.service', 1]]);
  });
});

describe('a timer is started', () => {
  it('with its service among the arguments, in any order', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    expect(outcome(await scene.start('x.timer', 'x.service'))).toEqual([
      'x.service: loaded m1',
      'x.timer: launched m1',
    ]);
  });

  it('with its service beside it on disk', async () => {
    const scene = await sceneWith({ 'units/x.timer': TIMER, 'units/x.service': SLEEP, 'x.service': FALSE });
    expect(outcome(await scene.start('units/x.timer'))).toEqual([
      'x.service: loaded m1',
      'x.timer: launched m1',
    ]);
    expect((await scene.ports.registry.load()).units.get('x.service')?.text).toBe(SLEEP);
  });

  it('with its service in the registry', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.submit(['x.service']);
    expect(outcome(await scene.start('x.timer'))).toEqual(['x.service: loaded m1', 'x.timer: launched m1']);
  });

  it('with a service that a machine has from elsewhere', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER });
    putForeign(scene, 'm2', 'x.service');
    expect(outcome(await scene.start('x.timer'))).toEqual(['x.timer: launched m1']);
  });

  it('with the template of its services: Accept=yes', async () => {
    const scene = await sceneWith({ 's.socket': '[Socket]\nListenStream=/run/s\nAccept=yes\n' });
    expect(outcome(await scene.start('s.socket'))).toEqual(['s.socket: not-loaded']);
    await scene.write('s@.service', SLEEP);
    expect(outcome(await scene.start('s.socket'))).toEqual([
      's.socket: launched m1',
      's@.service: loaded m1',
    ]);
    expect(scene.there()).toEqual({ m1: ['s.socket waiting', 's@.service dead'] });
  });
});

describe('a unit that a timer starts', () => {
  const JOB = '[Service]\nType=oneshot\nExecStart=/bin/true\n';
  const INSTALLED = `${SLEEP}[Install]\nWantedBy=multi-user.target\n`;

  it('is not run when it is started together with it, nor by later passes', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': JOB });
    await scene.start('x.service', 'x.timer');
    await reconcileEverything(scene.ports);
    expect(scene.machines.of('m1').log.filter((line) => line.startsWith('start'))).toEqual(['start x.timer']);
  });

  it('is run once when it is started alone, and its target stays', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': JOB });
    await scene.start('x.timer');
    await scene.start('x.service');
    await reconcileEverything(scene.ports);
    expect(scene.machines.of('m1').log.filter((line) => line === 'start x.service')).toHaveLength(1);
    expect(await scene.wanted()).toMatchObject({ 'x.service': 'loaded m1' });
  });

  it('is launched as well when it has [Install]', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': INSTALLED });
    expect(outcome(await scene.start('x.timer', 'x.service'))).toEqual([
      'x.service: launched m1',
      'x.timer: launched m1',
    ]);
  });

  it('that runs is stopped by a stop alone, and by no pass', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.timer');
    await scene.start('x.service');
    expect(scene.there().m1).toContain('x.service running');
    await reconcileEverything(scene.ports);
    await scene.load('x.service');
    expect(scene.there().m1).toContain('x.service running');
    await stop(scene.ports, ['x.service']);
    expect(scene.there().m1).toContain('x.service dead');
    expect(await scene.wanted()).toMatchObject({ 'x.service': 'loaded m1', 'x.timer': 'launched m1' });
  });

  it('gets a new text while it runs, which ends the run only if asked to', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.timer');
    await scene.start('x.service');
    await scene.write('x.service', `# new\n${SLEEP}`);
    const request = { units: ['x.service'], cwd: scene.cwd, replace: true };
    await submitUnits(scene.ports, request);
    expect(scene.machines.of('m1').units.get('x.service')?.text).toMatch('# new');
    expect(scene.there().m1).toContain('x.service running');
    await scene.write('x.service', `# newer\n${SLEEP}`);
    await submitUnits(scene.ports, { ...request, now: true });
    expect(scene.there().m1).toContain('x.service dead');
  });

  it('is left to its timer when it was launched and is named together with it', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.service');
    expect(outcome(await scene.start('x.timer', 'x.service'))).toEqual([
      'x.service: loaded m1',
      'x.timer: launched m1',
    ]);
    expect(scene.there().m1).toContain('x.service dead');
  });

  it('has a file beside that of its trigger, which is reported or taken', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.timer');
    await scene.write('x.service', `# new\n${SLEEP}`);
    const request = { units: ['x.timer'], cwd: scene.cwd };
    const { differing } = await start(scene.ports, { ...request, replace: false });
    expect(differing.map(({ unit }) => unit)).toEqual(['x.service']);
    await start(scene.ports, { ...request, replace: true });
    expect((await scene.ports.registry.load()).units.get('x.service')?.text).toMatch('# new');
  });

  it('ends with its old text by --now also when the new one is stored already', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.timer');
    await scene.start('x.service');
    await scene.write('x.service', `# new\n${SLEEP}`);
    const request = { units: ['x.timer', 'x.service'], cwd: scene.cwd, replace: true };
    await start(scene.ports, request);
    expect(scene.there().m1).toContain('x.service running');
    await start(scene.ports, { ...request, now: true });
    expect(scene.there().m1).toContain('x.service dead');
    await scene.start('x.service');
    await submitUnits(scene.ports, { ...request, units: ['x.service'], now: true });
    expect(scene.there().m1).toContain('x.service dead');
  });

  it('has its connections ended by a stop of its template', async () => {
    const socket = '[Socket]\nListenStream=/run/s\nAccept=yes\n';
    const scene = await sceneWith({ 's.socket': socket, 's@.service': SLEEP });
    await scene.start('s.socket', 's@.service');
    const { plans } = await stop(scene.ports, ['s@.service']);
    expect(plans.flatMap(({ changes }) => changes)).toEqual([
      expect.objectContaining({ unit: 's@.service', steps: [{ kind: 'stop' }] }),
    ]);
  });

  it('may be a template that is named beside its socket', async () => {
    const scene = await sceneWith({
      's.socket': '[Socket]\nListenStream=/run/s\nAccept=yes\n',
      's@.service': SLEEP,
    });
    expect(outcome(await scene.start('s.socket', 's@.service'))).toEqual([
      's.socket: launched m1',
      's@.service: loaded m1',
    ]);
    await expect(scene.start('s@.service')).rejects.toMatchObject({ code: 'usage' });
  });

  it.each([
    ['BindsTo', 'would stop with it'],
    ['Requires', 'would stop with it'],
    ['PartOf', 'would stop with it'],
    ['Upholds', 'would start it again'],
  ])('stays while a launched unit with %s= stays', async (option, what) => {
    const needs = `[Unit]\n${option}=x.service\n${SLEEP}[X-Fleet]\nMachineOf=x.service\n`;
    const scene = await sceneWith({ 'x.service': SLEEP, 'y.service': needs });
    await scene.start('x', 'y');
    const { problems } = await stop(scene.ports, ['x.service']);
    expect(problems.map(({ error }) => error.message)).toEqual([
      `Cannot stop unit "x.service": "y.service", which is launched, ${what} (${option}=x.service in line 2 of "y.service")`,
    ]);
  });

  it('stays while the timer that needs it stays', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    await scene.start('x.timer');
    for (const lower of [unload, destroy]) {
      const request = await lower(scene.ports, ['x.service']);
      expect(outcome(request)).toEqual(['x.service: contradiction']);
      expect(request.problems[0]?.error.message).toMatch(/"x.timer", which is launched, starts it/);
    }
    expect(await scene.wanted()).toEqual({ 'x.service': 'loaded m1', 'x.timer': 'launched m1' });
    expect(outcome(await destroy(scene.ports, ['x.timer']))).toEqual([
      'x.service: loaded m1',
      'x.timer: inactive',
    ]);
    expect(await scene.wanted()).toEqual({ 'x.service': 'loaded m1' });
  });

  it('goes where its timer fits, and the timer where it fits', async () => {
    const scene = await makeScene({ m1: {}, m2: { disk: 'ssd' }, m3: { disk: 'ssd', role: 'db' } });
    await scene.write('x.timer', `${TIMER}[X-Fleet]\nMachineMetadata=role=db\n`);
    await scene.write('x.service', `${SLEEP}[X-Fleet]\nMachineMetadata=disk=ssd\n`);
    expect(outcome(await scene.load('x.service'))).toEqual(['x.service: loaded m2']);
    expect(outcome(await scene.start('x.timer'))).toEqual(['x.service: loaded m3', 'x.timer: launched m3']);
  });

  it('is wherever a global timer is', async () => {
    const scene = await makeScene({ m1: {}, m2: { disk: 'ssd' }, m3: { disk: 'ssd' } });
    await scene.write('x.timer', `${TIMER}[X-Fleet]\nGlobal=true\nMachineMetadata=disk=ssd\n`);
    await scene.write('x.service', SLEEP);
    await scene.start('x.timer');
    expect(scene.there()).toEqual({
      m2: ['x.service dead', 'x.timer waiting'],
      m3: ['x.service dead', 'x.timer waiting'],
    });
  });
});
