import { describe, expect, it } from 'vitest';
import { destroy, stop } from '../../src/operations/set-target-state.ts';
import { cat } from '../../src/operations/unit-texts.ts';
import { requestJson } from '../../src/output/request-json.ts';
import { dryRunReport, requestReport } from '../../src/output/request-report.ts';
import { previewRegistry } from '../../src/registry/registry.ts';
import { previewDriver } from '../../src/systemd/driver.ts';
import { systemdState } from '../support/builders.ts';
import { GLOBAL, makeScene, outcome, SLEEP } from './scene.ts';

describe('destroy', () => {
  it('stops units, takes them from machines, and forgets them', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.write('g.service', GLOBAL);
    await scene.start('a', 'g');
    expect(outcome(await destroy(scene.ports, ['a', 'g']))).toEqual([
      'a.service: inactive',
      'g.service: inactive',
    ]);
    expect([scene.there(), await scene.wanted()]).toEqual([{}, {}]);
    await expect(cat(scene.ports.registry, 'a')).rejects.toMatchObject({ code: 'unit-not-found' });
  });

  it('forgets what is on no machine without touching any', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.submit(['a']);
    const request = await destroy(scene.ports, ['a']);
    expect([outcome(request), request.plans]).toEqual([['a.service: inactive'], []]);
    expect(await scene.wanted()).toEqual({});
  });

  it('stops and removes a unit whose record is lost, and refuses one that has another text as well', async () => {
    const scene = await makeScene();
    for (const name of ['a', 'b']) await scene.write(`${name}.service`, SLEEP);
    await scene.start('a', 'b');
    const lost = ['m1', 'm2'].flatMap((name) => [...scene.machines.of(name).units.values()]);
    for (const unit of lost) unit.record = undefined;
    if (lost[1] !== undefined) lost[1].text = `${SLEEP}#`;
    expect(outcome(await destroy(scene.ports, ['a', 'b']))).toEqual([
      'a.service: inactive',
      'b.service: unrecorded on m2',
    ]);
    expect(scene.there()).toEqual({ m2: ['b.service running'] });
    expect(await scene.wanted()).toEqual({ 'b.service': 'inactive m2' });
  });

  it('of a template leaves its instances alone', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', SLEEP);
    await scene.submit(['web@.service']);
    await scene.start('web@1');
    await destroy(scene.ports, ['web@.service']);
    expect(await scene.wanted()).toEqual({ 'web@1.service': 'launched m1' });
    expect(scene.there()).toEqual({ m1: ['web@1.service running'] });
  });

  it('by a glob tells the template that stays', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', SLEEP);
    await scene.submit(['web@.service']);
    await scene.start('web@1');
    const request = await destroy(scene.ports, ['web@*']);
    expect(await scene.wanted()).toEqual({ 'web@.service': 'inactive' });
    expect(requestReport('destroy', request)).toEqual({
      out: ['Destroyed web@1.service'],
      err: [
        'Warning: template "web@.service" stays in the registry, because a glob matches only units that can run',
        'hint: Destroy it too: fleetctl destroy web@.service',
      ],
    });
  });

  it('names in a preview what it removes from the registry, and the units of machines that stay', async () => {
    const scene = await makeScene();
    await scene.write('g.service', GLOBAL);
    await scene.write('a.service', SLEEP);
    await scene.submit(['a']);
    const state = systemdState('running', { load: 'masked', fragment: '/usr/lib/systemd/system/g.service' });
    const theirs = { text: 'theirs', record: undefined, state };
    scene.machines.of('m1').units.set('g.service', theirs);
    const [failure] = (await scene.start('g')).results.flatMap(({ failures }) => failures);
    expect(failure?.failure).toEqual({
      code: 'foreign',
      path: '/usr/lib/systemd/system/g.service (masked)',
    });
    const { ports } = scene;
    const preview = {
      ...ports,
      registry: previewRegistry(ports.registry, { clock: ports.clock, author: '' }),
      driver: previewDriver(ports.driver),
    };
    const request = await destroy(preview, ['g', 'a']);
    expect(requestJson(request, true)).toMatchObject({
      foreign: [
        {
          unit: 'g.service',
          machine: { name: 'm1' },
          path: '/usr/lib/systemd/system/g.service',
          masked: true,
        },
      ],
    });
    expect(dryRunReport('destroy', request)).toEqual({
      out: [
        ...['m2: stop g.service', 'm2: remove g.service', 'm3: stop g.service', 'm3: remove g.service'],
        ...['registry: remove a.service', 'registry: remove g.service'],
      ],
      err: [
        'Warning: unit "g.service" stays on machine "m1" (10.0.0.1), because fleet did not install it: /usr/lib/systemd/system/g.service (masked)',
      ],
    });
  });

  it('keeps, inactive, what it could not take from a machine, until that answers', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.write('g.service', GLOBAL);
    await scene.start('a', 'g');
    scene.machines.disconnect('m1');
    expect(outcome(await destroy(scene.ports, ['a', 'g']))).toEqual([
      'a.service: unreachable on m1',
      'g.service: unreachable on m1',
    ]);
    expect(await scene.wanted()).toEqual({ 'a.service': 'inactive m1', 'g.service': 'inactive' });
    expect((await stop(scene.ports, ['a'])).problems.map(({ error }) => [error.message, error.hint])).toEqual(
      [
        [
          'Cannot stop unit "a.service": it is inactive in the registry, but may still be on its machine',
          'Remove it there: fleetctl unload a.service; or load it again: fleetctl load a.service',
        ],
      ],
    );
    scene.machines.of('m1').unreachable = undefined;
    expect(outcome(await destroy(scene.ports, ['a', 'g']))).toEqual([
      'a.service: inactive',
      'g.service: inactive',
    ]);
    expect([scene.there(), await scene.wanted()]).toEqual([{}, {}]);
  });

  it('does what it can, and names what there is not', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.start('a');
    expect(outcome(await destroy(scene.ports, ['b', 'a', 'c*']))).toEqual([
      'a.service: inactive',
      'b.service: unit-not-found',
      'c*: unit-not-found',
    ]);
    expect(outcome(await destroy(scene.ports, ['a']))).toEqual(['a.service: unit-not-found']);
  });

  it('takes every copy away, also one that an earlier machine still had', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.start('a');
    const copy = scene.machines.of('m1').units.get('a.service');
    if (copy) scene.machines.of('m2').units.set('a.service', copy);
    await destroy(scene.ports, ['a']);
    expect(scene.there()).toEqual({});
  });

  it('leaves a unit of that name that is not fleet’s where it is', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.start('a');
    const copy = scene.machines.of('m1').units.get('a.service');
    if (copy) scene.machines.of('m2').units.set('a.service', { ...copy, record: undefined });
    expect(outcome(await destroy(scene.ports, ['a']))).toEqual(['a.service: inactive']);
    expect(scene.there()).toEqual({ m2: ['a.service running'] });
  });

  it('keeps the history of the name, and a new unit of it has a higher token', async () => {
    const scene = await makeScene();
    await scene.write('a.service', SLEEP);
    await scene.start('a');
    const before = (await scene.ports.registry.load()).units.get('a.service')?.token ?? 0;
    await destroy(scene.ports, ['a']);
    await scene.start('a');
    const view = await scene.ports.registry.load();
    expect(view.units.get('a.service')?.token).toBeGreaterThan(before);
    expect(view.history('a.service').length).toBeGreaterThan(0);
    expect(scene.there()).toEqual({ m1: ['a.service running'] });
  });
});
