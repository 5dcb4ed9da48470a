import { describe, expect, it } from 'vitest';
import { MAX_LEAD, MAX_TOKEN } from '../../src/cluster/snapshot.ts';
import { acceptMachine, distrustMachine } from '../../src/operations/machine-membership.ts';
import { guarded } from '../../src/reconcile/guard.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { trustedViews } from '../../src/reconcile/trust.ts';
import { UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { cluster, desiredUnit, idOf, NOW, recordOf, systemdState, TTL_MS } from '../support/builders.ts';
import { decisionsOf, Scene } from './scene.ts';

const FOUR = ['m1', 'm2', 'm3', 'm4'];

describe('ids and names are bound', () => {
  /** `m1=m1 m2=m1`: names, and the ids that machines answer with; bound are those of the second column. */
  it.each([
    ['nothing is known', 'm1=m1 m2=m2', '', []],
    ['everything is as before', 'm1=m1 m2=m2', 'm1=m1 m2=m2', []],
    ['another id than before', 'm1=mx m2=m2', 'm1=m1 m2=m2', ['m1: the registry has']],
    [
      'the id of a machine that does not answer',
      'm1=m1 m3=m2',
      'm1=m1 m2=m2 m3=m3',
      ['m3: the machine id of machine "m2"'],
    ],
    [
      'the id of a machine that answers',
      'm2=m2 m3=m2',
      'm2=m2 m3=m3',
      ['m3: the machine id of machine "m2"'],
    ],
    ['a new name for a known id', 'm9=m1', 'm1=m1', ['m9: the machine id of machine "m1"']],
    [
      'a copy of a machine that is new, too',
      'm1=m1 m2=m1',
      '',
      ['m1: the machine id of machine "m2"', 'm2: the machine id of machine "m1"'],
    ],
    ['a copy of a machine that is known', 'm1=m1 m2=m1', 'm1=m1', ['m2: the machine id of machine "m1"']],
    ['an id that version 0.1.0 bound to two names', 'm2=m1', 'm1=m1 m2=m1', []],
    [
      'two ids exchanged',
      'm1=m2 m2=m1',
      'm1=m1 m2=m2',
      ['m1: the machine id of machine "m2"', 'm2: the machine id of machine "m1"'],
    ],
  ])('%s', (_title, answers, bound, expected) => {
    const pairs = (text: string) =>
      text
        .split(' ')
        .filter(Boolean)
        .map((pair) => pair.split('=') as [string, string]);
    const views = pairs(answers).map(([name, id]) => {
      const [view] = cluster().machine(name).snapshot().machines;
      if (view?.observation === undefined) throw new Error(`${name} does not answer`);
      return { ...view, id: idOf(id), observation: { ...view.observation, id: idOf(id) } };
    });
    const machines = new Map(pairs(bound).map(([name, id]) => [name, { ...UNKNOWN_MACHINE, id: idOf(id) }]));
    const trusted = trustedViews(views, { machines }, NOW);
    const refused = trusted.filter(({ unreachable }) => unreachable?.code === 'machine-untrusted');
    expect(refused.map(({ machine, unreachable }) => `${machine.name}: ${unreachable?.message}`)).toEqual(
      expected.map((line) => expect.stringMatching(new RegExp(line.replace(': ', ': .*')))),
    );
    for (const { machine, id } of refused) expect(id).toBe(machines.get(machine.name)?.id);
  });

  it('H5: a unit of a machine that is off does not start on one that has taken its id', async () => {
    const scene = new Scene(FOUR);
    await scene.pass();
    await scene.want('launched', `MachineID=${idOf('m2')}`, 'pinned.service');
    await scene.pass();
    expect(scene.there()).toEqual(['m2 pinned.service running']);
    scene.driver.disconnect('m2');
    scene.driver.trouble('m3').id = idOf('m2');
    for (let pass = 0; pass < 3; pass++) {
      scene.clock.time += TTL_MS;
      expect(decisionsOf(await scene.pass())).toEqual(['pinned.service keep']);
    }
    expect(scene.there()).toEqual(['m2 pinned.service running']);
    await expect(acceptMachine(scene.ports, 'm3')).rejects.toMatchObject({ code: 'usage' });
    expect((await scene.registry.load()).machines.get('m3')?.id).toBe(idOf('m3'));
  });

  it('failover works with a machine that is not trusted, which does not count as unreachable', async () => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    await scene.want('launched', '', 'a.service');
    await scene.pass();
    scene.driver.trouble('m3').id = idOf('m1');
    scene.driver.disconnect('m1');
    await scene.pass();
    scene.clock.time += TTL_MS;
    expect(decisionsOf(await scene.pass())).toEqual(['a.service move']);
    expect(scene.there()).toContain('m2 a.service running');
  });

  it('a machine that says it belongs to another cluster keeps its units, and nothing starts elsewhere', async () => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    await scene.want('launched', '', 'a.service');
    await scene.pass();
    const [home = ''] = scene.there().map((line) => line.split(' ')[0]);
    scene.driver.of(home).cluster = 'another';
    const report = await scene.pass();
    expect(decisionsOf(report)).toEqual(['a.service keep']);
    const view = report.snapshot.machines.find(({ machine }) => machine.name === home);
    expect(view?.unreachable).toMatchObject({
      code: 'machine-untrusted',
      message: `Machine "${home}" has units of this cluster, but claims to belong to another one: "another"`,
    });
    scene.clock.time += TTL_MS;
    expect(decisionsOf(await scene.pass())).toEqual(['a.service keep']);
    expect(scene.there()).toEqual([`${home} a.service running`]);
  });

  it('what a reinstalled machine had moves once it is accepted', async () => {
    const scene = new Scene(['m1', 'm2']);
    await scene.want('launched', '', 'a.service');
    await scene.pass();
    scene.driver.trouble('m1').id = idOf('new');
    scene.driver.of('m1').units.clear();
    expect(decisionsOf(await scene.pass())).toEqual(['a.service keep']);
    const accepted = await acceptMachine(scene.ports, 'm1');
    expect(accepted).toMatchObject({ id: idOf('new'), before: idOf('m1'), renamedFrom: [], isNews: true });
    expect(await acceptMachine(scene.ports, 'm1')).toMatchObject({ isNews: false });
    expect(decisionsOf(await scene.pass())).toEqual(['a.service move']);
  });

  it('a machine that has another name in fleet.conf keeps its units and its cordon', async () => {
    const before = new Scene(['m1', 'm2']);
    await before.want('launched', '', 'a.service');
    await before.pass();
    await before.registry.update((view) => [
      {
        kind: 'put-machine',
        name: 'm1',
        known: { ...UNKNOWN_MACHINE, ...view.machines.get('m1'), cordon: 'standard' },
      },
    ]);
    const scene = new Scene(['web', 'm2'], before.store);
    scene.driver.trouble('web').id = idOf('m1');
    for (const [unit, there] of before.driver.of('m1').units) scene.driver.of('web').units.set(unit, there);
    expect(decisionsOf(await scene.pass())).toEqual(['a.service keep']);
    expect((await scene.registry.load()).machines.get('web')?.id).toBeUndefined();
    expect(await acceptMachine(scene.ports, 'web')).toMatchObject({ renamedFrom: ['m1'] });
    const { machines } = await scene.registry.load();
    expect([...machines.keys()].sort()).toEqual(['m2', 'web']);
    expect(machines.get('web')).toMatchObject({ id: idOf('m1'), cordon: 'standard' });
    expect(decisionsOf(await scene.pass())).toEqual(['a.service keep']);
    expect(scene.there()).toEqual(['web a.service running']);
  });
});

describe('a machine with tokens that the registry has not given', () => {
  /** Every machine has a unit; on m1 a record claims `token`. */
  async function forged(token: number): Promise<Scene> {
    const scene = new Scene(FOUR);
    await scene.want('launched', 'Global=true', 'g.service');
    await scene.want('launched', '', 'a.service');
    await scene.pass();
    const unit = desiredUnit('evil.service', 'Global=true', { token });
    scene.driver
      .of('m1')
      .units.set('evil.service', { text: unit.text, record: recordOf(unit), state: systemdState('running') });
    return scene;
  }
  const change = (scene: Scene) => (): Promise<unknown> => {
    const { registry } = guarded(scene.ports);
    const { text, hash, digest } = desiredUnit('new.service');
    const unit = { name: 'new.service', text, hash, digest, target: 'launched', machine: undefined } as const;
    return registry.update(() => [{ kind: 'put-unit', unit }]);
  };

  it.each([2 ** 53 + 2, 1e23, MAX_TOKEN + 1, 1e9 + MAX_LEAD, -1, 1.5])(
    'is unusable alone for %d, and blocks nothing',
    async (token) => {
      const scene = await forged(token);
      await change(scene)();
      const { snapshot } = await scene.pass();
      expect(
        snapshot.machines.flatMap(({ machine, unreachable }) => (unreachable ? machine.name : [])),
      ).toEqual(['m1']);
      expect(scene.there().filter((line) => line.includes('evil'))).toEqual(['m1 evil.service running']);
      expect(scene.there().filter((line) => line.includes('new'))).toHaveLength(1);
    },
  );

  it('is unusable for a pass, which remembers that; operators decide before they change anything', async () => {
    const scene = await forged(500);
    const before = (await scene.registry.load()).revision;
    await expect(change(scene)()).rejects.toMatchObject({
      code: 'registry-outdated',
      message: expect.stringContaining('machine "m1" has seen revision 500'),
      hint: expect.not.stringContaining('recover'),
    });
    expect((await scene.registry.load()).revision).toBe(before);
    await scene.pass();
    // The registry is past that soon; nothing is forgotten by that.
    for (let turn = 0; turn < 500; turn++)
      await scene.want(turn % 2 ? 'launched' : 'loaded', '', 'b.service');
    const { snapshot } = await scene.pass();
    expect(snapshot.revision).toBeGreaterThan(500);
    expect(
      snapshot.machines.flatMap(({ machine, unreachable }) => (unreachable ? machine.name : [])),
    ).toEqual(['m1']);
    expect(scene.there()).toContain('m1 evil.service running');
    await expect(change(scene)()).rejects.toMatchObject({ code: 'registry-outdated' });
    expect(await distrustMachine(scene.ports, 'm1')).toEqual(['a.service']);
    await change(scene)();
    expect(decisionsOf(await scene.pass())).toContain('a.service keep');
    scene.driver.of('m1').units.delete('evil.service');
    expect(await acceptMachine(scene.ports, 'm1')).toMatchObject({ isNews: true });
    expect((await scene.pass()).snapshot.machines.every(({ unreachable }) => unreachable === undefined)).toBe(
      true,
    );
  });

  it('is no matter of decision where the registry is empty: it may have to be recovered', async () => {
    const scene = new Scene(FOUR);
    for (const decide of [acceptMachine, distrustMachine])
      await expect(decide(scene.ports, 'm1')).rejects.toMatchObject({ code: 'usage' });
    expect((await scene.registry.load()).revision).toBe(0);
  });

  it('cannot be accepted while it is ahead', async () => {
    const scene = await forged(500);
    await expect(acceptMachine(scene.ports, 'm1')).rejects.toMatchObject({ code: 'registry-outdated' });
  });

  it('is believed when another one confirms it: no pass decides anything', async () => {
    const scene = await forged(500);
    const unit = scene.driver.of('m3').units.get('g.service');
    if (unit?.record === undefined) throw new Error('g.service is not on m3');
    unit.record = { ...unit.record, token: 499 };
    await expect(reconcile(scene.ports, 'everything')).rejects.toMatchObject({
      code: 'registry-outdated',
      hint: expect.stringContaining('recover'),
    });
  });
});
