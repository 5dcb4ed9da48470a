import { describe, expect, it } from 'vitest';
import { drain, setCordon } from '../../src/operations/drain.ts';
import { listEvents } from '../../src/operations/list-events.ts';
import { acceptMachine, distrustMachine } from '../../src/operations/machine-membership.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { destroy } from '../../src/operations/set-target-state.ts';
import { cordonReport, drainReport } from '../../src/output/machines.ts';
import { previewRegistry } from '../../src/registry/registry.ts';
import { previewDriver } from '../../src/systemd/driver.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

const ALONE = `${SLEEP}[X-Fleet]\nConflicts=alone.service\n`;
const HERE = (name: string): string => `${SLEEP}[X-Fleet]\nMachineMetadata=name=${name}\n`;

async function withUnits(units: Readonly<Record<string, string>>): Promise<Scene> {
  const scene = await makeScene({ m1: { name: 'm1' }, m2: { name: 'm2' }, m3: { name: 'm3' } });
  for (const [name, text] of Object.entries(units)) {
    await scene.write(name, text);
    await scene.start(name);
  }
  return scene;
}

const request = { machine: 'm1', maxParallel: 1, globals: false };

describe('drain', () => {
  it('moves standard units, one after the other, and leaves global ones', async () => {
    const scene = await withUnits({
      'a.service': SLEEP,
      'g.service': GLOBAL,
      'b.service': SLEEP,
      'c.service': SLEEP,
      'd.service': SLEEP,
    });
    expect(scene.there().m1).toEqual(['a.service running', 'd.service running', 'g.service running']);
    const result = await drain(scene.ports, request);
    expect(result.moves.map(({ unit, to }) => `${unit} ${to.name}`)).toEqual([
      'a.service m2',
      'd.service m3',
    ]);
    expect(result.left).toEqual([]);
    expect(scene.there().m1).toEqual(['g.service running']);
    expect((await scene.ports.registry.load()).machines.get('m1')?.cordon).toBe('standard');
  });

  it('has the new copy up before the old one stops', async () => {
    const scene = await withUnits({ 'a.service': SLEEP });
    const order: string[] = [];
    const ports = { ...scene.ports, emit: tellChanges(order) };
    await drain(ports, request);
    expect(order).toEqual(['m1 check', 'm2 write+record+start', 'm1 stop+remove']);
  });

  it('stops a unit first that may never run twice', async () => {
    const scene = await withUnits({ 'alone.service': ALONE });
    const order: string[] = [];
    await drain({ ...scene.ports, emit: tellChanges(order) }, request);
    expect(order).toEqual(['m1 stop+remove', 'm2 write+record+start']);
  });

  it('takes a move back when the unit does not come up, and ends', async () => {
    const scene = await withUnits({ 'a.service': SLEEP, 'b.service': HERE('m1') });
    // m2 and m3 have their own unit of that name.
    for (const name of ['m2', 'm3']) breakStarts(scene, name);
    const result = await drain(scene.ports, request);
    expect(result.left).toEqual(['a.service', 'b.service']);
    expect(result.results.flatMap(({ failures }) => failures.map(({ failure }) => failure.code))).toEqual([
      'not-up',
    ]);
    expect(await scene.wanted()).toMatchObject({ 'a.service': 'launched m1' });
    expect(scene.there().m1).toContain('a.service running');
    const log = (await listEvents(scene.ports.registry, { about: ['a'], lines: 1 })).map(
      ({ event }) => event.kind,
    );
    expect(log).toEqual(['return']);
  });

  it.each([
    ['a.service', SLEEP],
    ['alone.service', ALONE],
  ])(
    'starts %s nowhere else when the machine cannot be changed, and takes the move back',
    async (name, text) => {
      const scene = await withUnits({ [name]: text });
      const failure = { code: 'step', step: 'prepare', detail: 'Read-only file system' } as const;
      scene.machines.of('m1').change = (changes) =>
        changes.map(({ unit }) => ({ unit, machine: 'm1', state: undefined, failure }));
      const result = await drain(scene.ports, request);
      expect([result.moves, result.left]).toEqual([[], [name]]);
      expect(scene.there()).toEqual({ m1: [`${name} running`] });
      expect(await scene.wanted()).toMatchObject({ [name]: 'launched m1' });
      expect(drainReport(result)).toMatchObject({
        out: [],
        err: [
          expect.stringContaining('Read-only file system'),
          expect.any(String),
          expect.any(String),
          expect.any(String),
        ],
      });
    },
  );

  it('is not over while a unit that was destroyed could not be removed', async () => {
    const scene = await withUnits({ 'a.service': SLEEP });
    const failure = { code: 'step', step: 'remove', detail: 'Input/output error' } as const;
    scene.machines.of('m1').change = (changes) =>
      changes.map(({ unit }) => ({ unit, machine: 'm1', state: undefined, failure }));
    await destroy(scene.ports, ['a.service']);
    const result = await drain(scene.ports, request);
    expect(result.left).toEqual(['a.service']);
    expect(result.results.flatMap(({ failures }) => failures)).toEqual([
      expect.objectContaining({ failure }),
    ]);
  });

  it('is not over while an old copy does not stop', async () => {
    const scene = await withUnits({ 'a.service': SLEEP });
    const machine = scene.machines.of('m1');
    const change = machine.change.bind(machine);
    const failure = { code: 'step', step: 'remove', detail: 'Input/output error' } as const;
    machine.change = (changes, cluster) =>
      changes.some(({ steps }) => steps.some(({ kind }) => kind === 'remove'))
        ? changes.map(({ unit }) => ({ unit, machine: 'm1', state: undefined, failure }))
        : change(changes, cluster);
    expect(drainReport(await drain(scene.ports, request)).out).toEqual([]);
  });

  it('leaves what fits no other machine, and says so', async () => {
    const scene = await withUnits({ 'a.service': HERE('m1') });
    const result = await drain(scene.ports, request);
    expect([result.moves, result.left]).toEqual([[], ['a.service']]);
    expect(scene.there().m1).toEqual(['a.service running']);
  });

  it('takes global units along when told', async () => {
    const scene = await withUnits({ 'g.service': GLOBAL });
    await drain(scene.ports, { ...request, globals: true });
    expect(scene.there()).toEqual({ m2: ['g.service running'], m3: ['g.service running'] });
    await setCordon(scene.ports, ['m1'], undefined);
    await reconcileEverything(scene.ports);
    expect(scene.there().m1).toEqual(['g.service running']);
  });

  it('changes nothing in a dry run', async () => {
    const scene = await withUnits({ 'a.service': SLEEP });
    const before = scene.there();
    const registry = previewRegistry(scene.ports.registry, {
      clock: scene.clock as never,
      author: 'me@here',
    });
    const result = await drain(
      { ...scene.ports, registry, driver: previewDriver(scene.ports.driver) },
      request,
    );
    expect(result.moves.map(({ unit }) => unit)).toEqual(['a.service']);
    expect(scene.there()).toEqual(before);
    expect((await scene.ports.registry.load()).machines.get('m1')?.cordon).toBeUndefined();
  });

  it('asks for a machine that is there', async () => {
    const scene = await withUnits({});
    await expect(drain(scene.ports, { ...request, machine: 'm9' })).rejects.toMatchObject({
      code: 'machine-not-found',
    });
  });
});

describe('cordon', () => {
  it('keeps new units away and leaves what is there', async () => {
    const scene = await withUnits({ 'a.service': SLEEP });
    expect(await setCordon(scene.ports, ['m1', 'm1'], 'standard')).toEqual([
      { machine: 'm1', changed: true, excluded: false },
    ]);
    const again = await setCordon(scene.ports, ['m1', 'm2'], 'standard');
    expect(again.map(({ changed }) => changed)).toEqual([false, true]);
    const told = (cordoned: boolean, dryRun: boolean) => cordonReport(cordoned, again, dryRun).out;
    expect(told(true, false)).toEqual(['Machine m1 was already cordoned', 'Machine m2 cordoned']);
    expect(told(true, true)).toEqual(['Machine m1 was already cordoned', 'Machine m2 would be cordoned']);
    expect(told(false, true)[1]).toBe('Machine m2 would be uncordoned');
    await distrustMachine(scene.ports, 'm2');
    const { out, err } = cordonReport(false, await setCordon(scene.ports, ['m2'], undefined), false);
    expect([...out, ...err]).toEqual([
      'Machine m2 uncordoned',
      'Warning: machine m2 is still excluded and takes no units',
      'hint: To use it again: fleetctl machines accept m2',
    ]);
    await acceptMachine(scene.ports, 'm2');
    for (const unit of ['b.service', 'c.service', 'd.service']) {
      await scene.write(unit, SLEEP);
      await scene.start(unit);
    }
    await reconcileEverything(scene.ports);
    expect(scene.there().m1).toEqual(['a.service running']);
  });

  it('outlives a silence of the machine', async () => {
    const scene = await withUnits({ 'a.service': SLEEP });
    await setCordon(scene.ports, ['m2'], 'standard');
    scene.machines.disconnect('m2');
    await reconcileEverything(scene.ports);
    scene.machines.of('m2').unreachable = undefined;
    await reconcileEverything(scene.ports);
    expect((await scene.ports.registry.load()).machines.get('m2')?.cordon).toBe('standard');
  });
});

function tellChanges(order: string[]): Scene['ports']['emit'] {
  return (event) => {
    if (event.kind !== 'changes-sent') return;
    for (const { steps } of event.changes) order.push(`${event.machine} ${steps.join('+')}`);
  };
}

/** From now on, what is started there fails. */
function breakStarts(scene: Scene, name: string): void {
  const machine = scene.machines.of(name);
  const change = machine.change.bind(machine);
  machine.change = (changes, cluster) =>
    change(changes, cluster).map((outcome, index) => {
      const isStart = changes[index]?.steps.some(({ kind }) => kind === 'start') ?? false;
      const { state } = outcome;
      if (!isStart || state === undefined) return outcome;
      return { ...outcome, failure: { code: 'not-up', state, detail: '', journal: [] } };
    });
}
