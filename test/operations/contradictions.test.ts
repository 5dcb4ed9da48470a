import { expect, it } from 'vitest';
import type { DesiredUnit } from '../../src/cluster/snapshot.ts';
import { unitsApart } from '../../src/operations/apart.ts';
import { contradictionsOf } from '../../src/operations/contradictions.ts';
import type { DependencyKind } from '../../src/unit/dependencies.ts';
import type { UnitOptions } from '../support/builders.ts';
import { dependentPair } from '../support/dependent-pair.ts';

const [DOWN, AGAIN] = ['would go down with it', 'would start it again'];
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
  Sockets: { ...PLAIN, isApart: true },
};

it.each(Object.entries(TOLD))('%s= refuses and warns', (text, { a, b, isApart }) => {
  const kind = text as DependencyKind;
  const [one, other] = pair(kind, { machine: 'm1' }, { machine: 'm1' });
  const line = `(${kind}=${other.name} in line 2 of "a.service")`;
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

function pair(kind: DependencyKind, one: UnitOptions, other: UnitOptions) {
  return dependentPair(kind, undefined, [one, other]);
}

function refusals(stopped: DesiredUnit, other: DesiredUnit): readonly string[] {
  const units = new Map([stopped, other].map((unit) => [unit.name, unit]));
  return contradictionsOf([stopped], 'stop', { units }).map(({ error }) => error.message);
}
