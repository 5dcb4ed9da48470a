import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { idOf, systemdState } from '../support/builders.ts';
import { decisionsOf, failuresOf, Scene, WRITE_FAILED } from './scene.ts';

const THREE = ['m1', 'm2', 'm3'];

describe('a pass', () => {
  it('places a unit that is nowhere, notes where, and starts it there', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service');
    const report = await scene.pass('a.service');
    expect(decisionsOf(report)).toEqual(['a.service place']);
    expect(report.outcomes).toMatchObject([
      { unit: 'a.service', machine: 'm1', state: { active: 'active' } },
    ]);
    expect([await scene.assigned('a.service'), scene.there()]).toEqual(['m1', ['m1 a.service running']]);
  });

  it('gives the machine the token of the assignment, not of the wish', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service');
    const wished = (await scene.registry.load()).units.get('a.service')?.token ?? 0;
    await scene.pass('a.service');
    const assigned = (await scene.registry.load()).units.get('a.service')?.token ?? 0;
    expect(assigned).toBeGreaterThan(wished);
    expect(scene.driver.of('m1').units.get('a.service')?.record?.token).toBe(assigned);
  });

  it('reports the cluster as it decided on it', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service');
    const { snapshot, plans } = await scene.pass('a.service');
    expect(snapshot.units).toMatchObject([
      { name: 'a.service', machine: idOf('m1'), token: snapshot.revision },
    ]);
    expect(snapshot.machines.map(({ id }) => id)).toEqual(THREE.map(idOf));
    expect(plans).toMatchObject([{ machine: 'm1', changes: [{ unit: 'a.service' }] }]);
  });

  it('over what is in place does nothing and writes nothing', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service', 'b.service');
    await scene.pass();
    const { revision } = await scene.store.list('');
    const report = await scene.pass();
    expect([report.plans, report.outcomes, decisionsOf(report)]).toEqual([
      [],
      [],
      ['a.service keep', 'b.service keep'],
    ]);
    expect((await scene.store.list('')).revision).toBe(revision);
    expect(scene.driver.log.filter((line) => line.startsWith('change'))).toEqual([]);
  });

  it('leaves alone what it was not asked about', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service', 'b.service');
    const report = await scene.pass('b.service');
    expect(decisionsOf(report)).toEqual(['b.service place']);
    expect([await scene.assigned('a.service'), scene.there()]).toEqual([undefined, ['m1 b.service running']]);
  });

  it('makes all changes of a machine in one go, and asks no machine twice', async () => {
    const scene = new Scene(['m1']);
    await scene.want('launched', '', 'a.service', 'b.service', 'c.service');
    await scene.pass();
    expect(scene.driver.log).toEqual([
      'connect m1',
      'observe m1',
      'change m1 a.service b.service c.service',
      'close m1',
    ]);
  });

  it('brings global units to every machine, and to one that joins', async () => {
    const scene = new Scene(THREE);
    scene.driver.disconnect('m3');
    await scene.want('launched', 'Global=true', 'g.service');
    const first = await scene.pass('g.service');
    expect(failuresOf(first)).toEqual(['g.service m3 unreachable']);
    scene.driver.heal('m3');
    await scene.pass('g.service');
    expect(scene.there()).toEqual(THREE.map((name) => `${name} g.service running`));
  });

  it('removes units that are not wanted any more', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', 'Global=true', 'g.service');
    await scene.want('launched', '', 'a.service');
    await scene.pass();
    await scene.registry.update(() => [
      { kind: 'delete-unit', name: 'g.service' },
      { kind: 'delete-unit', name: 'a.service' },
    ]);
    await scene.pass('g.service', 'a.service');
    expect(scene.there()).toEqual([]);
  });

  it('over everything finds what the registry has never heard of', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service', 'b.service');
    await scene.pass();
    await scene.registry.update(() => [{ kind: 'delete-unit', name: 'a.service' }]);
    await scene.pass('b.service');
    expect(scene.there()).toContain('m1 a.service running');
    await scene.pass();
    expect(scene.there()).toEqual(['m2 b.service running']);
  });

  it('asks no machine for a template', async () => {
    const scene = new Scene(THREE);
    await scene.want('inactive', '', 'web@.service');
    expect((await scene.pass('web@.service')).outcomes).toEqual([]);
  });

  it('says for every machine why a unit fits nowhere', async () => {
    const scene = new Scene(THREE);
    scene.driver.disconnect('m3');
    await scene.want('launched', 'MachineMetadata=name=none', 'a.service');
    const [decision] = (await scene.pass('a.service')).decisions;
    expect(decision?.kind === 'unschedulable' && decision.rejected.map(({ machine }) => machine)).toEqual(
      THREE,
    );
    expect(await scene.assigned('a.service')).toBeUndefined();
  });
});

describe('when something fails, a pass', () => {
  it('finishes every other machine and unit, and reports each', async () => {
    const scene = new Scene(THREE);
    scene.driver.trouble('m1').failing.set('a@1.service', WRITE_FAILED);
    scene.driver.trouble('m2').lostOnChange = 'before';
    await scene.want('launched', 'Conflicts=a@*.service', 'a@1.service', 'a@2.service', 'a@3.service');
    await scene.want('launched', 'MachineID=6d310000', 'b.service');
    const report = await scene.pass();
    expect(failuresOf(report)).toEqual(['a@1.service m1 step', 'a@2.service m2 unreachable']);
    expect(report.outcomes).toHaveLength(4);
    expect(scene.there()).toEqual(['m1 b.service running', 'm3 a@3.service running']);
  });

  it('leaves the rest to the next one', async () => {
    const scene = new Scene(['m1']);
    scene.driver.trouble('m1').lostOnChange = 'after';
    await scene.want('launched', '', 'a.service', 'b.service');
    expect(failuresOf(await scene.pass())).toEqual(['a.service m1 unreachable', 'b.service m1 unreachable']);
    delete scene.driver.trouble('m1').lostOnChange;
    expect((await scene.pass()).outcomes).toEqual([]);
    scene.driver.of('m1').units.delete('a.service');
    expect(failuresOf(await scene.pass())).toEqual([]);
    expect(scene.there()).toEqual(['m1 a.service running', 'm1 b.service running']);
  });

  it('keeps the assignment of a unit that did not come up', async () => {
    const scene = new Scene(THREE);
    scene.driver.trouble('m1').failing.set('a.service', WRITE_FAILED);
    await scene.want('launched', '', 'a.service');
    await scene.pass();
    expect(await scene.assigned('a.service')).toBe('m1');
  });

  it('refuses a machine of another cluster and changes nothing there', async () => {
    const scene = new Scene(['m1', 'm2']);
    scene.driver.of('m1').cluster = 'theirs';
    await scene.want('launched', '', 'a.service');
    await scene.want('launched', 'Global=true', 'g.service');
    const report = await scene.pass();
    expect(failuresOf(report)).toEqual(['g.service m1 other-cluster']);
    expect(scene.there()).toEqual(['m2 a.service running', 'm2 g.service running']);
    expect(scene.driver.of('m1').log).toEqual([]);
  });

  it('refuses a unit that the machine has from elsewhere', async () => {
    const scene = new Scene(['m1']);
    const state = systemdState('running', { fragment: '/usr/lib/systemd/system/g.service' });
    scene.driver.of('m1').units.set('g.service', { text: undefined, record: undefined, state });
    await scene.want('launched', 'Global=true', 'g.service');
    const report = await scene.pass();
    expect(report.outcomes).toMatchObject([
      { failure: { code: 'foreign', path: '/usr/lib/systemd/system/g.service' } },
    ]);
    expect(scene.driver.of('m1').log).toEqual([]);
  });

  it('closes its sessions when the registry cannot be written', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service');
    const full = new FleetError('registry-unavailable', 'Cannot write the registry: disk full');
    const registry = { ...scene.registry, update: () => Promise.reject(full) };
    await expect(reconcile({ ...scene.ports, registry }, 'everything')).rejects.toBe(full);
    expect(scene.driver.openSessions()).toBe(0);
  });

  it('closes its sessions when a driver breaks its word', async () => {
    const scene = new Scene(THREE);
    await scene.want('launched', '', 'a.service');
    scene.driver.of('m1').change = () => {
      throw new TypeError('not a FleetError');
    };
    await expect(scene.pass()).rejects.toThrow(TypeError);
    scene.driver.of('m2').observe = () => {
      throw new TypeError('not a FleetError');
    };
    await expect(scene.pass()).rejects.toThrow(TypeError);
  });

  it('opens nothing when the registry cannot be read', async () => {
    const scene = new Scene(THREE);
    const registry = {
      ...scene.registry,
      load: () => Promise.reject(new FleetError('registry-corrupt', 'x')),
    };
    await expect(reconcile({ ...scene.ports, registry }, 'everything')).rejects.toThrow(FleetError);
    expect(scene.driver.log).toEqual([]);
  });
});
