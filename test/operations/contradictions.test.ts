import { describe, expect, it } from 'vitest';
import type { DesiredUnit } from '../../src/cluster/snapshot.ts';
import { contradictionsOf } from '../../src/operations/contradictions.ts';
import { unitsApart } from '../../src/operations/related-units.ts';
import type { DependencyKind } from '../../src/unit/dependencies.ts';
import { dependentPair, desiredUnit, lineOf, type UnitOptions } from '../support/builders.ts';

const [DOWN, AGAIN] = ['would stop with it', 'would start it again'];
const PLAIN = { a: undefined, b: undefined, isApart: false };

type Told = { readonly a: string | undefined; readonly b: string | undefined; readonly isApart: boolean };

/** Why neither unit can be stopped alone, and whether a warning says that they are on different machines. */
const TOLD: Readonly<Record<DependencyKind, Told>> = {
  Requires: { ...PLAIN, b: DOWN, isApart: true },
  Requisite: { ...PLAIN, b: DOWN, isApart: true },
  BindsTo: { ...PLAIN, b: DOWN, isApart: true },
  PartOf: { ...PLAIN, b: DOWN },
  Upholds: { ...PLAIN, b: AGAIN, isApart: true },
  Wants: { ...PLAIN, isApart: true },
  Conflicts: PLAIN,
  PropagatesStopTo: { ...PLAIN, a: DOWN },
  StopPropagatedFrom: { ...PLAIN, b: DOWN },
  RequiredBy: { ...PLAIN, a: DOWN },
  UpheldBy: { ...PLAIN, a: AGAIN },
  Slice: { ...PLAIN, b: DOWN, isApart: true },
  RequiresMountsFor: { ...PLAIN, b: DOWN, isApart: true },
  Sockets: { ...PLAIN, isApart: true },
};

it.each(Object.entries(TOLD))('%s= refuses and warns', (text, { a, b, isApart }) => {
  const kind = text as DependencyKind;
  const [one, other] = pair(kind, { machine: 'm1' }, { machine: 'm1' });
  const line = `(${lineOf(kind)} in line 2 of "a.service")`;
  const told = (unit: DesiredUnit, why: string | undefined, by: DesiredUnit): readonly string[] =>
    why === undefined
      ? []
      : [`Cannot stop unit "${unit.name}": "${by.name}", which is launched, ${why} ${line}`];
  expect(refusals(one, other)).toEqual(told(one, a, other));
  expect(refusals(other, one)).toEqual(told(other, b, one));
  const [here, elsewhere] = pair(kind, { machine: 'm1' }, { machine: 'm2' });
  expect([refusals(here, elsewhere), refusals(elsewhere, here)]).toEqual([[], []]);
  const apart = unitsApart(new Set(['a.service', other.name]), [here, elsewhere]);
  expect(apart.map(({ unit }) => unit)).toEqual(isApart ? ['a.service'] : []);
});

it('a unit that is only loaded, or lowered too, is no obstacle', () => {
  const [one, other] = pair('Requires', { machine: 'm1', target: 'loaded' }, { machine: 'm1' });
  expect(refusals(other, one)).toEqual([]);
  const both = pair('Requires', { machine: 'm1' }, { machine: 'm1' });
  expect(contradictionsOf(both, 'stop', { units: new Map(both.map((unit) => [unit.name, unit])) })).toEqual(
    [],
  );
});

it('the hint names all units, those that depend on others first', () => {
  const units = pair('PartOf', { machine: 'm1' }, { machine: 'm1' });
  const [problem] = contradictionsOf([units[1]], 'destroy', {
    units: new Map(units.map((unit) => [unit.name, unit])),
  });
  expect(problem?.error.hint).toBe('Name both: fleetctl destroy a.service b.service');
});

describe('a refusal leads to others', () => {
  const db = desiredUnit('db.service', '', { machine: 'm1' });
  const app = tied('app.service', 'BindsTo=db.service');
  const side = tied('side.service', 'PartOf=app.service');
  const free = desiredUnit('free.service', '', { machine: 'm1' });
  const units = new Map([db, app, side, free].map((unit) => [unit.name, unit]));

  it.each(['stop', 'unload', 'destroy'] as const)('%s', (verb) => {
    for (const selected of [
      [db, app],
      [app, db],
    ]) {
      const problems = contradictionsOf([...selected, free], verb, { units });
      expect(problems.map(({ unit }) => unit).sort()).toEqual(['app.service', 'db.service']);
      for (const { error } of problems)
        expect(error.hint).toMatch(/^Name all of them: fleetctl \w+ (?=.*db\.)(?=.*app\.)side\.service/);
    }
    expect(contradictionsOf([db, app, side], verb, { units })).toEqual([]);
  });

  it('tells of each unit why', () => {
    const messages = contradictionsOf([db, app], 'stop', { units }).map(({ error }) => error.message);
    expect(messages).toEqual([
      'Cannot stop unit "db.service": "side.service", which is launched, would stop with it (PartOf=app.service in line 2 of "side.service")',
      'Cannot stop unit "app.service": "side.service", which is launched, would stop with it (PartOf=app.service in line 2 of "side.service")',
    ]);
  });
});

it('a stop also reaches units behind loaded ones on the same machine', () => {
  const db = desiredUnit('db.service', '', { machine: 'm1' });
  const side = tied('side.service', 'PartOf=app.service');
  const [here, elsewhere] = ['m1', 'm2'].map((machine) =>
    tied('app.service', 'BindsTo=db.service', { machine, target: 'loaded' }),
  );
  const refused = (app = db): number =>
    contradictionsOf([db], 'stop', { units: new Map([db, app, side].map((unit) => [unit.name, unit])) })
      .length;
  expect([refused(here), refused(elsewhere)]).toEqual([1, 0]);
});

it('a unit that is refused for another reason refuses those it would go down with', () => {
  const db = desiredUnit('db.service', '', { machine: 'm1' });
  const app = tied('app.service', 'BindsTo=db.service');
  const keeper = tied('keeper.service', 'Upholds=app.service');
  const units = new Map([db, app, keeper].map((unit) => [unit.name, unit]));
  const problems = contradictionsOf([db, app], 'stop', { units });
  expect(problems.map(({ unit }) => unit).sort()).toEqual(['app.service', 'db.service']);
  expect(new Set(problems.map(({ error }) => error.hint?.split(' ').slice(-3).sort().join(' ')))).toEqual(
    new Set(['app.service db.service keeper.service']),
  );
});

function tied(name: string, line: string, options: UnitOptions = {}): DesiredUnit {
  const text = `[Unit]\n${line}\n[Service]\nExecStart=/bin/sleep infinity\n`;
  return desiredUnit(name, '', { machine: 'm1', ...options, text });
}

function pair(kind: DependencyKind, one: UnitOptions, other: UnitOptions) {
  return dependentPair(kind, undefined, [one, other]);
}

function refusals(stopped: DesiredUnit, other: DesiredUnit): readonly string[] {
  const units = new Map([stopped, other].map((unit) => [unit.name, unit]));
  return contradictionsOf([stopped], 'stop', { units }).map(({ error }) => error.message);
}
