import { describe, expect, it } from 'vitest';
import { provenUnits } from '../../src/cluster/held.ts';
import type { ClusterSnapshot, DesiredUnit } from '../../src/cluster/snapshot.ts';
import type { ObservedUnit } from '../../src/cluster/unit-state.ts';
import { orderOf } from '../../src/plan/order.ts';
import { type Entry, rolloutPieces } from '../../src/plan/pieces.ts';
import { plan } from '../../src/plan/plan.ts';
import { type Rollout, rolloutsOf } from '../../src/plan/rollout.ts';
import { cluster, desiredUnit, idOf, NOW, observedUnit, recordOf } from '../support/builders.ts';
import { growthOf } from '../support/operations.ts';

type Case = {
  readonly units: (count: number) => readonly DesiredUnit[];
  /** Undefined for a unit that its machine does not have. */
  readonly observed?: (unit: DesiredUnit) => ObservedUnit | undefined;
  /** Units for each machine; all units are on one machine by default. */
  readonly unitsEach?: number;
};

const named =
  (name: (index: number) => string, fleet = '', text?: string) =>
  (count: number) =>
    Array.from({ length: count }, (_, index) =>
      desiredUnit(name(index), fleet, text === undefined ? {} : { text }),
    );
const services = named((index) => `u${index}.service`);
const instances = named((index) => `u@${index}.service`);
const older = (unit: DesiredUnit): ObservedUnit =>
  observedUnit(unit, { digest: 'old', record: recordOf(unit, { digest: 'old' }) });
/** Units that stop with the first one, which gets a new text. */
const followers = (count: number): readonly DesiredUnit[] => {
  const text = '[Unit]\nPartOf=first.service\n[Service]\nExecStart=/bin/true\n';
  return [desiredUnit('first.service'), ...named((index) => `u${index}.service`, '', text)(count)];
};
const held = (count: number): readonly DesiredUnit[] =>
  instances(count).map((unit) => ({
    ...unit,
    held: { at: NOW - 90_000, machines: [], cause: { kind: 'unhealthy', what: 'restarted', withinMs: 1 } },
  }));

const CASES: Readonly<Record<string, Case>> = {
  'units in place': { units: services, observed: (unit) => observedUnit(unit), unitsEach: 5 },
  'new units': { units: services, unitsEach: 5 },
  'new instances': { units: instances, unitsEach: 5 },
  'a new text of each unit': { units: services, observed: older, unitsEach: 5 },
  'a new text of a template': { units: instances, observed: older, unitsEach: 5 },
  'a new text that half of the instances have': {
    units: instances,
    observed: (unit) => (/[13579]\./.test(unit.name) ? older(unit) : observedUnit(unit)),
    unitsEach: 5,
  },
  'units that stop with another one': {
    units: followers,
    observed: (unit) => (unit.name === 'first.service' ? older(unit) : observedUnit(unit)),
  },
  'held instances': { units: held, observed: older, unitsEach: 5 },
};

/** A cluster with `count` units, and their placements. */
function clusterOf({ units, observed = () => undefined, unitsEach }: Case, count: number) {
  const machines = unitsEach === undefined ? 1 : Math.ceil(count / unitsEach);
  const all = units(count).map((unit, index) => ({ ...unit, machine: idOf(`m${index % machines}`) }));
  const there = Array.from({ length: machines }, (): ObservedUnit[] => []);
  for (const [index, unit] of all.entries()) {
    const seen = observed(unit);
    if (seen !== undefined) there[index % machines]?.push(seen);
  }
  const views = there.flatMap(
    (seen, index) => cluster().machine(`m${index}`, {}, { units: seen }).snapshot().machines,
  );
  const keptTexts = all.flatMap((unit) =>
    unit.held === undefined ? [] : [{ unit: { ...unit, digest: 'old' }, isBase: true }],
  );
  const snapshot: ClusterSnapshot = { ...cluster().snapshot(), units: all, machines: views, keptTexts };
  return { snapshot, placements: new Map(all.map(({ name, machine }) => [name, [machine]])) };
}

/** Everything that a pass computes about plans. */
function planned({ snapshot, placements }: ReturnType<typeof clusterOf>): unknown {
  const plans = plan(snapshot, placements, { rollouts: {} });
  const rollouts = rolloutsOf(plans, { snapshot, placements });
  const leaving = new Map<string, string>();
  return [
    provenUnits(snapshot),
    orderOf({ plans, snapshot, placements, leaving, maxParallel: undefined, rollouts }),
    orderOf({ plans, snapshot, placements, leaving, maxParallel: 10 }),
  ];
}

describe('the work for plans grows in proportion to the number of units', () => {
  it.each(Object.entries(CASES))('%s', async (_, kind) => {
    const clusters = new Map([1, 100, 400].map((count) => [count, clusterOf(kind, count)]));
    const growth = await growthOf(100, (count) => planned(clusters.get(count) ?? clusterOf(kind, count)));
    expect(growth).toBeGreaterThan(3);
    expect(growth).toBeLessThan(4.5);
  });

  it('a new text of a unit that is on every machine, and of one that stops with it', async () => {
    const text = '[Unit]\nPartOf=a.service\n[Service]\nExecStart=/bin/true\n[X-Fleet]\nGlobal=true\n';
    const units = [desiredUnit('a.service', 'Global=true'), desiredUnit('b.service', '', { text })];
    const everywhere = (count: number): ReturnType<typeof clusterOf> => {
      const views = Array.from({ length: count }, (_, index) => `m${index}`).flatMap(
        (name) =>
          cluster()
            .machine(name, {}, { units: units.map(older) })
            .snapshot().machines,
      );
      const ids = views.flatMap(({ id }) => id ?? []);
      const snapshot = { ...cluster().snapshot(), units, machines: views };
      return { snapshot, placements: new Map(units.map(({ name }) => [name, ids])) };
    };
    const clusters = new Map([1, 100, 400].map((count) => [count, everywhere(count)]));
    const growth = await growthOf(100, (count) => planned(clusters.get(count) ?? everywhere(count)));
    expect(growth).toBeGreaterThan(3);
    expect(growth).toBeLessThan(4.5);
  });

  it('the pieces of a rollout', () => {
    const looks = (count: number): number => {
      const units = new Map(instances(count).map((unit) => [unit.name, unit]));
      const entries = [...units.keys()].map((unit): Entry => {
        const change = { unit, token: 1, steps: [{ kind: 'start' }], obstacle: undefined } as const;
        return { machine: 'm1', stage: 'main', change };
      });
      let found = 0;
      const rollout: Rollout = {
        units: new Set(units.keys()),
        get limit() {
          found++;
          return 1;
        },
        onFailure: 'stop',
        up: new Set(),
        updated: [],
        down: [],
      };
      const request = { entries, unitOf: (name: string) => units.get(name), tied: () => new Set<string>() };
      expect(rolloutPieces(request, [rollout])).toHaveLength(count);
      return found;
    };
    expect(looks(400)).toBeLessThan(4.5 * looks(100));
  });
});
