import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { requestStatus } from '../../src/cli/exit-status.ts';
import { start, stop, submitUnits, unload } from '../../src/operations/set-target-state.ts';
import { requestReport } from '../../src/output/request-report.ts';
import { systemdState, TTL_MS } from '../support/builders.ts';
import { FALSE, GLOBAL, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

/** A scene with these unit files on the disk. */
async function desk(files: Readonly<Record<string, string>>): Promise<Scene> {
  const scene = await makeScene();
  for (const [name, text] of Object.entries(files)) await scene.write(name, text);
  return scene;
}

describe('start', () => {
  it('submits, places and starts, several units at once', async () => {
    const scene = await desk({ 'a.service': SLEEP, 'web@.service': SLEEP });
    const request = await scene.start('a', 'web@1', 'web@2', 'web@3');
    expect(outcome(request)).toEqual([
      'a.service: launched m1',
      'web@1.service: launched m2',
      'web@2.service: launched m3',
      'web@3.service: launched m1',
    ]);
    expect(scene.there()).toEqual({
      m1: ['a.service running', 'web@3.service running'],
      m2: ['web@1.service running'],
      m3: ['web@2.service running'],
    });
  });

  it('again changes nothing, and says again where the unit is', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    const log = [...scene.machines.of('m1').log];
    const request = await scene.start('a');
    expect(outcome(request)).toEqual(['a.service: launched m1']);
    expect([request.plans, scene.machines.of('m1').log]).toEqual([[], log]);
  });

  it('again starts what has failed meanwhile', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    const unit = scene.machines.of('m1').units.get('a.service');
    if (unit) unit.state = { ...unit.state, active: 'failed', sub: 'failed' };
    expect(outcome(await scene.start('a'))).toEqual(['a.service: launched m1']);
    expect(scene.there()).toEqual({ m1: ['a.service running'] });
  });

  it('does what it can: a bad file and a unit that dies stop no other', async () => {
    const scene = await desk({ 'a.service': SLEEP, 'bad.service': 'nonsense', 'false.service': FALSE });
    expect(outcome(await scene.start('bad', 'false', 'gone', 'a'))).toEqual([
      'a.service: launched m1',
      'false.service: not-up on m2',
      'bad.service: unit-file',
      'gone.service: unit-not-found',
    ]);
    expect(await scene.wanted()).toEqual({ 'a.service': 'launched m1', 'false.service': 'launched m2' });
  });

  it('refuses a template before anything is done', async () => {
    const scene = await desk({ 'a.service': SLEEP, 'web@.service': SLEEP });
    await expect(scene.start('a', 'web@')).rejects.toMatchObject({
      code: 'usage',
      message: 'Cannot start template "web@.service": it is a pattern for units, not a unit',
      hint: 'Name an instance of it: fleetctl start web@1.service; a new text of it: fleetctl submit --replace web@.service',
    });
    expect(await scene.wanted()).toEqual({});
  });

  it('leaves a unit that fits nowhere wanted, so that a later start places it', async () => {
    const scene = await desk({ 'a.service': `${SLEEP}[X-Fleet]\nMachineOf=b.service\n`, 'b.service': SLEEP });
    expect(outcome(await scene.start('a'))).toEqual(['a.service: nowhere']);
    expect(await scene.wanted()).toEqual({ 'a.service': 'launched' });
    await scene.start('b');
    expect(outcome(await scene.start('a'))).toEqual(['a.service: launched m1']);
  });

  it('starts a oneshot that finishes, and a timer with its service', async () => {
    const scene = await desk({
      'once.service': '[Service]\nType=oneshot\nExecStart=/bin/true\n',
      'tick.timer': '[Timer]\nOnActiveSec=1h\n',
      'tick.service': SLEEP,
    });
    expect(outcome(await scene.start('once', 'tick.timer', 'tick'))).toEqual([
      'once.service: launched m1',
      'tick.service: loaded m2',
      'tick.timer: launched m2',
    ]);
  });

  it('runs a oneshot again only after it was stopped', async () => {
    const scene = await desk({ 'once.service': '[Service]\nType=oneshot\nExecStart=/bin/true\n' });
    await scene.start('once');
    expect((await scene.start('once')).plans).toEqual([]);
    await stop(scene.ports, ['once']);
    const steps = (await scene.start('once')).plans[0]?.changes[0]?.steps.map(({ kind }) => kind);
    expect(steps).toEqual(['record', 'start']);
    expect((await scene.start('once')).plans).toEqual([]);
  });

  it('starts a global unit everywhere, and later where a machine is new', async () => {
    const scene = await desk({ 'g.service': GLOBAL });
    scene.machines.disconnect('m3');
    expect(outcome(await scene.start('g'))).toEqual([
      'g.service: launched m1 m2',
      'g.service: unreachable on m3',
    ]);
    scene.machines.of('m3').unreachable = undefined;
    expect(outcome(await scene.start('g'))).toEqual(['g.service: launched m1 m2 m3']);
  });

  it('touches nothing that is not fleet’s', async () => {
    const scene = await desk({ 'g.service': GLOBAL, 'a.service': SLEEP });
    const state = systemdState('running', { fragment: '/usr/lib/systemd/system/x.service' });
    const theirs = { text: 'theirs', record: undefined, state };
    scene.machines.of('m1').units.set('g.service', theirs).set('a.service', theirs);
    expect(outcome(await scene.start('g', 'a'))).toEqual([
      'a.service: launched m2',
      'g.service: launched m2 m3',
      'g.service: foreign on m1',
    ]);
    expect(scene.machines.of('m1').units.get('g.service')).toBe(theirs);
  });

  it('leaves the machine of another cluster alone', async () => {
    const scene = await desk({ 'g.service': GLOBAL, 'a.service': SLEEP });
    scene.machines.of('m1').cluster = 'another';
    expect(outcome(await scene.start('g', 'a'))).toEqual([
      'a.service: launched m2',
      'g.service: launched m2 m3',
      'g.service: other-cluster on m1',
    ]);
    expect(scene.machines.of('m1').log).toEqual([]);
  });

  it('uses none of two machines with one id before one of them is bound to it', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    const m2 = scene.machines.of('m2');
    m2.observe = () => scene.machines.of('m1').observe({ names: [], digests: false });
    expect(outcome(await scene.start('a'))).toEqual(['a.service: launched m3']);
    expect(scene.there()).toEqual({ m3: ['a.service running'] });
  });

  it('moves a unit whose machine has been unreachable for agent_ttl, and removes the copy when it is back', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    scene.machines.disconnect('m1');
    expect(outcome(await scene.start('a'))).toEqual(['a.service: unreachable on m1']);
    scene.clock.time += TTL_MS;
    expect(outcome(await scene.start('a'))).toEqual(['a.service: launched m2']);
    expect(scene.there()).toEqual({ m1: ['a.service running'], m2: ['a.service running'] });
    scene.machines.of('m1').unreachable = undefined;
    expect(outcome(await scene.start('a'))).toEqual(['a.service: launched m2']);
    expect(scene.there()).toEqual({ m2: ['a.service running'] });
  });

  it('counts the time from the first command that saw it, and starts again after an answer', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    scene.machines.disconnect('m1');
    await scene.start('a');
    scene.clock.time += TTL_MS - 1;
    scene.machines.of('m1').unreachable = undefined;
    await scene.start('a');
    scene.machines.disconnect('m1');
    scene.clock.time += TTL_MS - 1;
    expect(outcome(await scene.start('a'))).toEqual(['a.service: unreachable on m1']);
    scene.clock.time += TTL_MS - 1;
    expect(outcome(await scene.start('a'))).toEqual(['a.service: unreachable on m1']);
    scene.clock.time += 1;
    expect(outcome(await scene.start('a'))).toEqual(['a.service: launched m2']);
  });

  it('moves nothing from a machine that refuses us', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    scene.machines.disconnect(
      'm1',
      new FleetError('ssh-host-key', 'The host key of machine "m1" has changed'),
    );
    await scene.start('a');
    scene.clock.time += TTL_MS * 10;
    expect(outcome(await scene.start('a'))).toEqual(['a.service: unreachable on m1']);
  });
});

describe('load', () => {
  it('places units without starting them', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    expect(outcome(await scene.load('a'))).toEqual(['a.service: loaded m1']);
    expect(scene.there()).toEqual({ m1: ['a.service dead'] });
  });

  it('leaves a launched unit launched', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    expect(outcome(await scene.load('a'))).toEqual(['a.service: launched m1']);
    expect(scene.there()).toEqual({ m1: ['a.service running'] });
  });

  it('then start starts it on the same machine', async () => {
    const scene = await desk({ 'a.service': SLEEP, 'b.service': SLEEP });
    await scene.load('a', 'b');
    expect(outcome(await scene.start('b'))).toEqual(['b.service: launched m2']);
  });

  it('refuses a template', async () => {
    const scene = await desk({ 'web@.service': SLEEP });
    await expect(scene.load('web@.service')).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('stop', () => {
  it('leaves the unit loaded on its machine', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    expect(outcome(await stop(scene.ports, ['a']))).toEqual(['a.service: loaded m1']);
    expect(scene.there()).toEqual({ m1: ['a.service dead'] });
    expect(await scene.wanted()).toEqual({ 'a.service': 'loaded m1' });
  });

  it('of a unit that is on no machine succeeds', async () => {
    const text = `${SLEEP}[X-Fleet]\nMachineMetadata=role=none\n`;
    const scene = await desk({ 'a.service': text, 'g.service': `${text}Global=true\n` });
    await scene.start('a', 'g');
    const request = await stop(scene.ports, ['a', 'g']);
    expect(requestStatus(request)).toBe(0);
    expect(requestReport('stop', request)).toEqual({
      out: ['Unit a.service loaded; it is on no machine', 'Unit g.service loaded; it is on no machine'],
      err: [],
    });
    expect(await scene.wanted()).toEqual({ 'a.service': 'loaded', 'g.service': 'loaded' });
    expect(requestStatus(await scene.load('a'))).toBe(1);
  });

  it('of a loaded unit changes nothing', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.load('a');
    const request = await stop(scene.ports, ['a']);
    expect([outcome(request), request.plans]).toEqual([['a.service: loaded m1'], []]);
  });

  it('of a unit that is inactive, or unknown, is a problem for it and for no other', async () => {
    const scene = await desk({ 'a.service': SLEEP, 'b.service': SLEEP });
    await scene.submit(['b']);
    await scene.start('a');
    const request = await stop(scene.ports, ['b', 'c', 'a']);
    expect(outcome(request)).toEqual([
      'a.service: loaded m1',
      'c.service: unit-not-found',
      'b.service: not-loaded',
    ]);
    expect(request.problems.map(({ error }) => error.message)).toEqual([
      'No such unit: "c.service"',
      'Cannot stop unit "b.service": it is not loaded',
    ]);
  });

  it('stops a global unit wherever it answers', async () => {
    const scene = await desk({ 'g.service': GLOBAL });
    await scene.start('g');
    scene.machines.disconnect('m2');
    expect(outcome(await stop(scene.ports, ['g']))).toEqual([
      'g.service: loaded m1 m3',
      'g.service: unreachable on m2',
    ]);
    expect(scene.there()).toEqual({
      m1: ['g.service dead'],
      m2: ['g.service running'],
      m3: ['g.service dead'],
    });
  });

  it('on a machine that is unreachable is remembered until it is back', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    scene.machines.disconnect('m1');
    expect(outcome(await stop(scene.ports, ['a']))).toEqual(['a.service: unreachable on m1']);
    scene.machines.of('m1').unreachable = undefined;
    expect(outcome(await stop(scene.ports, ['a']))).toEqual(['a.service: loaded m1']);
    expect(scene.there()).toEqual({ m1: ['a.service dead'] });
  });
});

describe('unload', () => {
  it('takes the unit from its machine, and the registry keeps it', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    expect(outcome(await unload(scene.ports, ['a']))).toEqual(['a.service: inactive']);
    expect([scene.there(), await scene.wanted()]).toEqual([{}, { 'a.service': 'inactive' }]);
    expect(scene.machines.of('m1').log.slice(-2)).toEqual(['stop a.service', 'remove a.service']);
  });

  it('of a unit that is on no machine changes nothing', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.submit(['a']);
    expect(outcome(await unload(scene.ports, ['a', 'b']))).toEqual([
      'a.service: inactive',
      'b.service: unit-not-found',
    ]);
  });

  it('remembers where it could not take it from', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    scene.machines.disconnect('m1');
    expect(outcome(await unload(scene.ports, ['a']))).toEqual(['a.service: unreachable on m1']);
    expect(await scene.wanted()).toEqual({ 'a.service': 'inactive m1' });
    scene.machines.of('m1').unreachable = undefined;
    expect(outcome(await unload(scene.ports, ['a']))).toEqual(['a.service: inactive']);
    expect([scene.there(), await scene.wanted()]).toEqual([{}, { 'a.service': 'inactive' }]);
  });

  it('then start places it again', async () => {
    const scene = await desk({ 'a.service': SLEEP, 'b.service': SLEEP });
    await scene.start('a');
    await unload(scene.ports, ['a']);
    await scene.start('b');
    expect(outcome(await scene.start('a'))).toEqual(['a.service: launched m2']);
  });
});

describe('replacing', () => {
  it('restarts a unit that runs with the new text, on its machine', async () => {
    const scene = await desk({ 'a.service': SLEEP });
    await scene.start('a');
    await scene.write('a.service', `${SLEEP}Nice=5\n`);
    const request = await start(scene.ports, { units: ['a'], cwd: scene.cwd, replace: true });
    expect(outcome(request)).toEqual(['a.service: launched m1']);
    expect(scene.machines.of('m1').log.slice(-4)).toEqual(
      ['stop', 'write', 'record', 'start'].map((step) => `${step} a.service`),
    );
  });

  it('moves a unit whose new text asks for another machine', async () => {
    const scene = await makeScene({ m1: {}, m2: { role: 'db' } });
    await scene.write('a.service', SLEEP);
    await scene.start('a');
    await scene.write('a.service', `${SLEEP}[X-Fleet]\nMachineMetadata=role=db\n`);
    const request = await start(scene.ports, { units: ['a'], cwd: scene.cwd, replace: true });
    expect(outcome(request)).toEqual(['a.service: launched m2']);
    expect(scene.there()).toEqual({ m2: ['a.service running'] });
  });

  it('by submit reaches the machines of units that are on some, and creates the others', async () => {
    const scene = await desk({ 'a.service': SLEEP, 'b.service': SLEEP });
    await scene.start('a');
    await scene.write('a.service', `${SLEEP}Nice=5\n`);
    const request = await submitUnits(scene.ports, { units: ['a', 'b'], cwd: scene.cwd, replace: true });
    expect([outcome(request), [...request.created]]).toEqual([['a.service: launched m1'], ['b.service']]);
    expect(scene.machines.of('m1').units.get('a.service')?.text).toContain('Nice=5');
  });
});
