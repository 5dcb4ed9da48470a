import { describe, expect, it } from 'vitest';
import { isUp } from '../../src/cluster/unit-state.ts';
import type { RequestResult } from '../../src/operations/unit-result.ts';
import { isUnschedulable } from '../../src/operations/unschedulable.ts';
import type { ReconcileReport } from '../../src/reconcile/pass.ts';
import { machinesOf } from '../../src/schedule/decision.ts';
import { idOf, systemdState } from '../support/builders.ts';
import { seeds } from '../support/random.ts';
import { World } from './world.ts';

const SEEDS = seeds(60);
const EVENTS = 12;

/** Runs the events of a seed; a failure names the seed and the events. */
async function history(seed: number, check: (world: World) => Promise<void>): Promise<void> {
  const world = new World(seed);
  try {
    await check(world);
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}\n${await world.describe()}`, { cause: error });
  } finally {
    world.close();
  }
}

/** Loaded units that run, by machine, with their records. */
async function loadedRuns(
  world: World,
): Promise<readonly { readonly machine: string; readonly unit: string }[]> {
  const { units } = await world.registry.load();
  return world.machines.flatMap(({ machine, units: here, isUnreachable }) =>
    isUnreachable
      ? []
      : [...here].flatMap(([unit, { record }]) => {
          const isLoaded = units.get(unit)?.target === 'loaded' && record?.target === 'loaded';
          return isLoaded &&
            world.machines.find((each) => each.machine === machine)?.runOf(unit) !== undefined
            ? [{ machine: machine.name, unit }]
            : [];
        }),
  );
}

/** Launched units that run on a reachable machine. */
async function launchedRuns(world: World): Promise<readonly string[]> {
  const { units } = await world.registry.load();
  const runs = (name: string): boolean =>
    world.machines.some(
      (sim) => !sim.isUnreachable && (sim.runOf(name) !== undefined || isUp(sim.state(name))),
    );
  return [...units.values()]
    .filter(({ name, target }) => target === 'launched' && runs(name))
    .map(({ name }) => name);
}

/** Units with a warning of the command, and units that are not launched any more, or elsewhere. */
function toldBy({ results, problems }: RequestResult): ReadonlySet<string> {
  const told = results.filter(
    (result) =>
      result.target !== 'launched' ||
      result.failures.length > 0 ||
      isUnschedulable(result) ||
      result.violation,
  );
  return new Set([...told, ...problems].map(({ unit }) => unit));
}

/** Units with a failure in a report. */
function namedIn({ outcomes, decisions, plans }: ReconcileReport): ReadonlySet<string> {
  return new Set([
    ...outcomes.filter(({ failure }) => failure !== undefined).map(({ unit }) => unit),
    ...decisions.filter(({ kind }) => kind === 'unschedulable').map(({ unit }) => unit),
    ...plans.flatMap(({ changes }) => changes.filter(({ obstacle }) => obstacle).map(({ unit }) => unit)),
  ]);
}

describe('after random events in a cluster', () => {
  it('no pass stops a loaded unit that runs, two passes converge, and failed units are reported', async () => {
    const seen = { kept: 0, settled: 0, named: 0 };
    for (const seed of SEEDS) {
      await history(seed, async (world) => {
        for (let event = 0; event < EVENTS; event++) {
          const before = await launchedRuns(world);
          const request = await world.act();
          if (request !== undefined) {
            const told = toldBy(request);
            const after = await launchedRuns(world);
            expect(before.filter((unit) => !after.includes(unit) && !told.has(unit))).toEqual([]);
          }
          const running = await loadedRuns(world);
          await world.pass();
          world.events.push('pass');
          for (const { machine, unit } of running) {
            const sim = world.machines.find((each) => each.machine.name === machine);
            expect([machine, unit, sim?.runOf(unit) === undefined ? 'stopped' : 'runs']).toEqual([
              machine,
              unit,
              'runs',
            ]);
            seen.kept += 1;
          }
        }
        for (const _ of ['first', 'second']) {
          world.settle();
          await world.pass();
        }
        world.settle();
        const last = await world.pass();
        const named = namedIn(last);
        const steps = last.plans.flatMap(({ machine, changes }) =>
          changes
            .filter(({ unit }) => !named.has(unit))
            .map(({ unit, steps }) => `${machine} ${unit} ${steps.map(({ kind }) => kind).join('+')}`),
        );
        expect(steps).toEqual([]);
        seen.settled += 1;
        for (const decision of last.decisions) {
          const unit = last.snapshot.units.find(({ name }) => name === decision.unit);
          if (unit?.target !== 'launched') continue;
          for (const id of machinesOf(decision)) {
            const sim = world.machines.find(({ machine }) => idOf(machine.name) === id);
            const isDown =
              sim?.runOf(decision.unit) === undefined &&
              !isUp(sim?.state(decision.unit) ?? systemdState('dead'));
            if (isDown) expect([...named]).toContain(decision.unit);
            if (isDown) seen.named += 1;
          }
        }
      });
    }
    // Every kind of event has to occur.
    expect(seen.settled).toBe(SEEDS.length);
    expect(Math.min(seen.kept, seen.named)).toBeGreaterThan(SEEDS.length / 10);
  });
});
