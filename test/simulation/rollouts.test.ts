import { afterEach, describe, expect, it } from 'vitest';
import { isUp } from '../../src/cluster/unit-state.ts';
import { toDo } from '../../src/controller/to-do.ts';
import type { ReconcileReport } from '../../src/reconcile/pass.ts';
import { seeds } from '../support/random.ts';
import { RolloutWorld } from './rollout-world.ts';

const SEEDS = seeds(16);

let world: RolloutWorld | undefined;

afterEach((context) => {
  if (context.task.result?.state === 'fail') console.error(world?.events.join('\n'));
});

/** Passes of other processes, until one has nothing to do or all that is left is reported as a failure. */
async function passes(of: RolloutWorld): Promise<ReconcileReport> {
  for (let pass = 0; pass < 10; pass++) {
    const report = await of.pass();
    if (toDo(report.snapshot).groups.length === 0) return report;
  }
  throw new Error(`it does not converge:\n${of.events.join('\n')}`);
}

function copiesUp(of: RolloutWorld): readonly string[] {
  return of
    .copies()
    .filter(({ unit, sim }) => isUp(sim.state(unit)))
    .map(({ unit, sim }) => `${sim.machine.name} ${unit}`);
}

describe('a rollout that is interrupted at any point, and continued by other processes', () => {
  it('keeps at most MaxParallel copies down, and ends with the new text everywhere', async () => {
    const seen = { interrupted: 0, pieces: 0 };
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      await world.begin();
      await world.replace('good');
      seen.interrupted += await world.interruptedPass();
      const report = await passes(world);
      expect(world.texts(), `seed ${seed}`).toEqual(new Set(['good']));
      expect(world.mostDown, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
      expect(copiesUp(world), `seed ${seed}`).toHaveLength(world.copies().length);
      expect(
        report.snapshot.units.filter(({ held }) => held),
        `seed ${seed}`,
      ).toEqual([]);
      expect((await world.pass()).plans, `seed ${seed}`).toEqual([]);
      seen.pieces = Math.max(seen.pieces, world.mostDown);
    }
    expect(seen.interrupted).toBeGreaterThan(SEEDS.length / 4);
    expect(seen.pieces).toBeGreaterThan(1);
  });

  it('puts a text that fails on at most MaxParallel machines, and leaves the other copies alone', async () => {
    let interrupted = 0;
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      await world.begin();
      const before = world.runs();
      await world.replace('/bin/false');
      interrupted += await world.interruptedPass();
      const { outcomes } = await passes(world);
      const bad = world.withText('/bin/false');
      expect(bad.length, `seed ${seed}`).toBeGreaterThan(0);
      expect(bad.length, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
      expect(world.mostDown, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
      for (const copy of before.filter(({ key }) => !bad.includes(key)))
        expect(world.runs(), `seed ${seed}`).toContainEqual(copy);
      const runs = world.runs();
      for (let pass = 0; pass < 3; pass++) await world.pass();
      expect(world.runs(), `seed ${seed}: no pass starts it again`).toEqual(runs);
      world.reboot(bad);
      await world.pass();
      const started = world.runs().filter(({ key, run }) => bad.includes(key) && run !== 0);
      expect(started, `seed ${seed}: no boot starts it again`).toEqual([]);
      const old = world.copies().find(({ unit, sim }) => !bad.includes(`${sim.machine.name} ${unit}`));
      const there = old?.sim.units.get(old.unit);
      if (there !== undefined) {
        there.active = 'failed';
        await world.pass();
        expect([there.active, there.text?.includes('first')], `seed ${seed}`).toEqual(['active', true]);
      }
      if (world.copies().length > 1)
        expect(
          outcomes.map(({ failure }) => failure?.code),
          `seed ${seed}`,
        ).toContain('held');
      await world.replace('good');
      await passes(world);
      expect(world.texts(), `seed ${seed}`).toEqual(new Set(['good']));
      expect(copiesUp(world), `seed ${seed}`).toHaveLength(world.copies().length);
    }
    expect(interrupted).toBeGreaterThan(SEEDS.length / 4);
  });

  it('puts a text that fails after its start on at most MaxParallel machines', async () => {
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      await world.begin();
      await world.replace('late');
      await world.interruptedPass();
      await passes(world);
      const bad = world.withText('late');
      expect(bad.length, `seed ${seed}`).toBeGreaterThan(0);
      expect(bad.length, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
    }
  });

  it('counts copies on machines that do not answer as down', async () => {
    let worlds = 0;
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      if (world.limit === 1) continue;
      worlds++;
      await world.begin();
      const lost = world.machines.slice(0, world.limit - 1);
      for (const sim of lost) sim.isUnreachable = true;
      await world.replace('good');
      await world.pass();
      expect(world.withText('good').length, `seed ${seed}`).toBe(world.machines.length - lost.length);
      expect(world.mostDown, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
    }
    expect(worlds).toBeGreaterThan(SEEDS.length / 6);
  });

  it('removes no copy from machines that a text excludes before that text has come up everywhere else', async () => {
    const narrower = 'MachineMetadata=half=0';
    let worlds = 0;
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      if (!world.isGlobal) continue;
      worlds++;
      await world.begin();
      const before = world.runs();
      await world.replace('/bin/false', narrower);
      await world.interruptedPass();
      await passes(world);
      const bad = world.withText('/bin/false');
      for (const copy of before.filter(({ key }) => !bad.includes(key)))
        expect(world.runs(), `seed ${seed}`).toContainEqual(copy);
      await world.replace('good', narrower);
      await passes(world);
      expect(world.texts(), `seed ${seed}`).toEqual(new Set(['good']));
      expect(copiesUp(world), `seed ${seed}`).toHaveLength(Math.ceil(world.machines.length / 2));
    }
    expect(worlds).toBeGreaterThan(SEEDS.length / 4);
  });

  it('ends at the first machine on which the text fails', async () => {
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      await world.begin();
      const last = world.machines.at(-1);
      last?.broken.add('fragile');
      await world.replace('fragile');
      await world.interruptedPass();
      await passes(world);
      const down = world.copies().filter(({ unit, sim }) => !isUp(sim.state(unit)));
      expect(down.length, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
      expect(world.mostDown, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
    }
  });

  it('restores the old text everywhere with OnFailedUpdate=revert, and once only', async () => {
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      await world.begin();
      world.machines.at(-1)?.broken.add('fragile');
      await world.replace('fragile', 'OnFailedUpdate=revert');
      await world.interruptedPass();
      await passes(world);
      expect(world.texts(), `seed ${seed}`).toEqual(new Set(['first']));
      expect(copiesUp(world), `seed ${seed}`).toHaveLength(world.copies().length);
      expect(world.mostDown, `seed ${seed}`).toBeLessThanOrEqual(world.limit);
      // The text of a template's first instance may have come up before another one failed.
      expect((await world.history()).at(1), `seed ${seed}`).toBe('failed');
      const runs = world.runs();
      await world.replace('fragile', 'OnFailedUpdate=revert');
      await passes(world);
      expect(world.runs(), `seed ${seed}: it is held at once`).toEqual(runs);
    }
  });

  it('continues a released text', async () => {
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      await world.begin();
      world.machines[0]?.broken.add('fragile');
      await world.replace('fragile');
      await passes(world);
      for (const { broken } of world.machines) broken.clear();
      await passes(world);
      expect(world.texts().has('first'), `seed ${seed}`).toBe(
        world.withText('fragile').length < world.copies().length,
      );
      await world.release();
      await passes(world);
      expect(world.texts(), `seed ${seed}`).toEqual(new Set(['fragile']));
    }
  });

  it('changes no copy while as many others may be down are unreachable', async () => {
    for (const seed of SEEDS) {
      world = new RolloutWorld(seed);
      await world.begin();
      const lost = world.machines.slice(0, world.limit);
      for (const sim of lost) sim.isUnreachable = true;
      const runs = world.runs();
      await world.replace('good');
      const { outcomes } = await world.pass();
      expect(world.runs(), `seed ${seed}`).toEqual(runs);
      if (lost.length < world.machines.length)
        expect(
          outcomes.map(({ failure }) => failure?.code),
          `seed ${seed}`,
        ).toContain('gated');
      for (const sim of lost) sim.isUnreachable = false;
      await passes(world);
      expect(world.texts(), `seed ${seed}`).toEqual(new Set(['good']));
    }
  });
});
