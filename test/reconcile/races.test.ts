import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { desiredUnit, idOf } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { failuresOf, Scene } from './scene.ts';

const FOUR = ['m1', 'm2', 'm3', 'm4'];

/** Several people with the same registry and the same machines. */
function people(count: number, machines: readonly string[]): readonly [Scene, Scene, ...Scene[]] {
  const first = new Scene(machines);
  const more = Array.from({ length: count - 2 }, () => new Scene(machines, first.store, first));
  return [first, new Scene(machines, first.store, first), ...more];
}

describe('a pass that loses the race for an assignment', () => {
  it('decides again, based on the changes of the faster one', async () => {
    const memory = createMemoryStore();
    let theirs: (() => Promise<unknown>) | undefined;
    const store: Store = {
      ...memory,
      commit: async (changes) => {
        const first = theirs;
        theirs = undefined;
        await first?.();
        return memory.commit(changes);
      },
    };
    const scene = new Scene(FOUR, store);
    await scene.want('launched', 'Conflicts=a@*.service', 'a@1.service', 'a@2.service');
    const other = new Scene(FOUR, memory);
    theirs = () =>
      other.registry.update((view) => {
        const unit = view.units.get('a@1.service');
        return unit === undefined ? [] : [{ kind: 'put-unit', unit: { ...unit, machine: idOf('m1') } }];
      });
    const report = await scene.pass('a@2.service');
    expect(report.decisions).toMatchObject([{ kind: 'place', machine: idOf('m2') }]);
    expect([await scene.assigned('a@1.service'), await scene.assigned('a@2.service')]).toEqual(['m1', 'm2']);
    expect(scene.there()).toEqual(['m2 a@2.service running']);
  });

  it('carries out what the faster one decided, when that was about the same unit', async () => {
    const memory = createMemoryStore();
    const setUp = new Scene(FOUR, memory);
    await setUp.want('launched', '', 'a.service');
    const assignment = async (): Promise<void> => {
      await setUp.registry.update(() => [
        { kind: 'put-unit', unit: { ...desiredUnit('a.service'), machine: idOf('m4') } },
      ]);
    };
    let turns = 0;
    const store: Store = {
      ...memory,
      commit: async (changes) => {
        turns += 1;
        if (turns === 1) await assignment();
        return memory.commit(changes);
      },
    };
    const scene = new Scene(FOUR, store);
    await scene.pass('a.service');
    expect([await scene.assigned('a.service'), scene.there()]).toEqual(['m4', ['m4 a.service running']]);
  });
});

describe('two passes at once over units that conflict', () => {
  it('assign each once, to a machine where nothing conflicts, and start all', async () => {
    const machines = Array.from({ length: 50 }, (_, index) => `n${index}`);
    const [first, second] = people(2, machines);
    const names = Array.from({ length: 50 }, (_, index) => `a@${index}.service`);
    await first.want('launched', 'Conflicts=a@*.service', ...names);
    await Promise.all([first.pass(...names.slice(0, 30)), second.pass(...names.slice(20))]);
    const { units } = await first.registry.load();
    const assigned = [...units.values()].map(({ machine }) => machine);
    expect(new Set(assigned).size).toBe(50);
    expect(assigned).not.toContain(undefined);
    for (const [name, { machine, token }] of units) {
      const there = machines.filter((candidate) => first.driver.of(candidate).units.has(name));
      expect([name, there.map(idOf)]).toEqual([name, [machine]]);
      expect(first.driver.of(there[0] ?? '').units.get(name)?.record?.token).toBeLessThanOrEqual(token);
    }
  });

  it('leave over what does not fit, and the same for both', async () => {
    const scenes = people(2, FOUR);
    const names = Array.from({ length: 6 }, (_, index) => `a@${index}.service`);
    await scenes[0].want('launched', 'Conflicts=a@*.service', ...names);
    const reports = await Promise.all(scenes.map((scene) => scene.pass()));
    const assigned = [...(await scenes[0].registry.load()).units.values()].flatMap(
      ({ machine }) => machine ?? [],
    );
    expect([assigned.length, new Set(assigned).size]).toEqual([4, 4]);
    for (const { decisions } of reports) {
      expect(decisions.filter(({ kind }) => kind === 'unschedulable')).toHaveLength(2);
    }
  });

  it('over the same units have the same result', async () => {
    const scenes = people(5, FOUR);
    const names = Array.from({ length: 12 }, (_, index) => `a@${index}.service`);
    await scenes[0].want('launched', '', ...names);
    const reports = await Promise.all(scenes.map((scene) => scene.pass()));
    expect(reports.flatMap(failuresOf)).toEqual([]);
    expect(scenes[0].there()).toHaveLength(12);
    expect((await scenes[0].pass()).plans).toEqual([]);
  });
});

describe('a pass with an old decision', () => {
  it('is refused by the machine, and reported', async () => {
    const [slow, fast] = people(2, ['m1']);
    await slow.want('launched', '', 'a.service');
    await slow.pass();
    await slow.want('loaded', '', 'a.service');
    // The slow pass has decided and is about to act when another user launches the unit again.
    const update = slow.registry.update.bind(slow.registry);
    let turns = 0;
    Object.assign(slow.registry, {
      update: async (decide: Parameters<typeof update>[0]) => {
        const view = await update(decide);
        turns += 1;
        if (turns === 1) {
          await fast.want('launched', '', 'a.service');
          await fast.pass();
        }
        return view;
      },
    });
    const report = await slow.pass('a.service');
    expect(report.outcomes).toMatchObject([{ failure: { code: 'stale' } }]);
    expect(slow.there()).toEqual(['m1 a.service running']);
  });
});
