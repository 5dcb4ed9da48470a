import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { isForeign, isRunning, reachedState } from '../../src/cluster/unit-state.ts';
import { plan } from '../../src/plan/plan.ts';
import type { MachinePlan } from '../../src/plan/step.ts';
import { machinesOf } from '../../src/schedule/decision.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { CLUSTER_ID } from '../support/builders.ts';
import { FakeMachine } from '../support/fake-machines.ts';
import { seeds } from '../support/random.ts';
import { randomCluster } from '../support/random-cluster.ts';

const SEEDS = seeds(150);
const OLD_TEXT = '[Service]\nExecStart=/bin/old\n';

/** A random cluster, where its units are to be, and machines that are as it says. */
type World = {
  readonly snapshot: ClusterSnapshot;
  readonly placements: ReadonlyMap<string, readonly string[]>;
  readonly fakes: ReadonlyMap<string, FakeMachine>;
};

function worldOf(seed: number): World {
  const random = randomCluster(seed);
  const fakes = new Map(random.machines.flatMap((view) => fakesOf(view, random)));
  const snapshot = lookAgain(random, fakes);
  const decisions = schedule(snapshot);
  return {
    snapshot,
    fakes,
    placements: new Map(decisions.map((decision) => [decision.unit, machinesOf(decision)])),
  };
}

function fakesOf(
  { machine, observation }: ClusterSnapshot['machines'][number],
  { units }: ClusterSnapshot,
): readonly (readonly [string, FakeMachine])[] {
  if (observation === undefined) return [];
  const fake = new FakeMachine(machine);
  fake.cluster = observation.cluster;
  for (const { name, state, record, digest } of observation.units) {
    if (record === undefined && state.load === 'not-found') continue;
    const text =
      digest === undefined
        ? undefined
        : digest === 'old'
          ? OLD_TEXT
          : units.find((u) => u.name === name)?.text;
    fake.units.set(name, { text, record, state });
  }
  return [[machine.name, fake]];
}

/** The cluster as a pass would find it now. */
function lookAgain(snapshot: ClusterSnapshot, fakes: ReadonlyMap<string, FakeMachine>): ClusterSnapshot {
  const request = { names: snapshot.units.map(({ name }) => name), digests: true };
  return {
    ...snapshot,
    machines: snapshot.machines.map((view) => {
      const observation = fakes.get(view.machine.name)?.observe(request);
      return view.observation === undefined || observation === undefined ? view : { ...view, observation };
    }),
  };
}

function carryOut(plans: readonly MachinePlan[], { fakes }: World): void {
  for (const { machine, changes } of plans) fakes.get(machine)?.change(changes, CLUSTER_ID);
}

function always(check: (world: World, plans: readonly MachinePlan[]) => void): void {
  for (const seed of SEEDS) {
    const world = worldOf(seed);
    try {
      check(world, plan(world.snapshot, world.placements));
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
}

describe('over random clusters', () => {
  it('the clusters are worth it: every step and every obstacle occurs often', () => {
    const seen = new Map<string, number>();
    always((_, plans) => {
      for (const { steps, obstacle } of plans.flatMap(({ changes }) => changes)) {
        for (const kind of [...steps.map((step) => step.kind), ...(obstacle ? [obstacle.code] : [])])
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
    });
    expect(new Set(seen.keys())).toEqual(
      new Set(['foreign', 'record', 'remove', 'stale', 'start', 'stop', 'write']),
    );
    expect(Math.min(...seen.values())).toBeGreaterThan(SEEDS.length / 50);
  });

  it('a plan that was carried out leaves nothing to do', () => {
    always((world, plans) => {
      carryOut(plans, world);
      const again = plan(lookAgain(world.snapshot, world.fakes), world.placements);
      expect(again.flatMap(({ changes }) => changes.flatMap(({ steps }) => steps))).toEqual([]);
    });
  });

  it('afterwards every unit is where it is wanted and nowhere else, unless something was in the way', () => {
    always((world, plans) => {
      carryOut(plans, world);
      const after = lookAgain(world.snapshot, world.fakes);
      for (const { machine, observation } of after.machines) {
        if (observation === undefined || observation.cluster === 'other') continue;
        const changes = plans.find((entry) => entry.machine === machine.name)?.changes ?? [];
        const blocked = new Set(changes.filter(({ obstacle }) => obstacle).map(({ unit }) => unit));
        for (const unit of after.units.filter(({ name }) => !blocked.has(name))) {
          const wanted = world.placements.get(unit.name)?.includes(observation.id) ?? false;
          const seen = observation.units.find(({ name }) => name === unit.name);
          const reached = seen === undefined ? 'inactive' : reachedState(seen);
          // What something else started comes to its end where its unit has moved away.
          const isLingering = !wanted && seen?.record?.target === 'loaded' && isRunning(seen.state);
          if (isLingering && unit.target !== 'inactive') continue;
          expect([machine.name, unit.name, reached]).toEqual([
            machine.name,
            unit.name,
            wanted ? unit.target : 'inactive',
          ]);
          if (wanted) expect(seen?.digest).toBe(unit.digest);
        }
      }
    });
  });

  it('a lower token never acts', () => {
    always(({ fakes }, plans) => {
      for (const { machine, changes } of plans) {
        for (const { unit, token, steps } of changes) {
          const seen = fakes.get(machine)?.units.get(unit)?.record?.token ?? 0;
          if (seen > token) expect(steps).toEqual([]);
        }
      }
    });
  });

  it('nothing is removed without a stop before, nor started without a note before', () => {
    always((_, plans) => {
      for (const { steps } of plans.flatMap(({ changes }) => changes)) {
        const kinds = steps.map(({ kind }) => kind);
        if (kinds.includes('remove')) expect(kinds).toEqual(['stop', 'remove']);
        if (kinds.includes('start')) expect(kinds.slice(-2)).toEqual(['record', 'start']);
        if (kinds.includes('write')) expect(kinds[kinds.indexOf('write') + 1]).toBe('record');
      }
    });
  });

  it('no step is for an unreachable machine, nor for one of another cluster', () => {
    always(({ snapshot }, plans) => {
      for (const { machine } of plans) {
        const observation = snapshot.machines.find((view) => view.machine.name === machine)?.observation;
        expect([undefined, CLUSTER_ID]).toContain(observation === undefined ? 'silent' : observation.cluster);
      }
    });
  });

  it('units that fleet did not install stay as they are', () => {
    always((world, plans) => {
      const foreign = world.snapshot.machines.flatMap(({ machine, observation }) =>
        (observation?.units ?? []).filter(isForeign).map(({ name }) => ({ machine: machine.name, name })),
      );
      const look = () =>
        foreign.map(({ machine, name }) => ({ ...world.fakes.get(machine)?.units.get(name) }));
      const before = look();
      carryOut(plans, world);
      expect(look()).toEqual(before);
      for (const { machine, name } of foreign)
        expect(world.fakes.get(machine)?.log.filter((line) => line.endsWith(` ${name}`))).toEqual([]);
    });
  });
});
