import { expect, it } from 'vitest';
import { conflictTies, stopTies, type Ties, upholdTies } from '../../src/cluster/dependencies.ts';
import type { DependencyKind } from '../../src/unit/dependencies.ts';
import { dependentPair } from '../support/builders.ts';

/** What each option in the text of a.service makes of the unit b that it names, by systemd.unit(5). */
const EFFECTS: Readonly<Record<DependencyKind, readonly string[]>> = {
  Requires: ['b takes down a'],
  Requisite: ['b takes down a'],
  BindsTo: ['b takes down a'],
  PartOf: ['b takes down a'],
  Upholds: ['a upholds b'],
  Wants: [],
  Conflicts: ['a excludes b', 'b excludes a'],
  PropagatesStopTo: ['a takes down b'],
  StopPropagatedFrom: ['b takes down a'],
  RequiredBy: ['a takes down b'],
  UpheldBy: ['b upholds a'],
  Slice: ['b takes down a'],
  RequiresMountsFor: ['b takes down a'],
  Sockets: [],
};

it.each(Object.entries(EFFECTS))('%s=', (kind, effects) => {
  const units = dependentPair(kind as DependencyKind);
  const pairs = (ties: Ties): readonly (readonly string[])[] =>
    [...ties].flatMap(([name, found]) => found.map(({ unit }) => [name.charAt(0), unit.charAt(0)]));
  expect([
    ...pairs(stopTies(units)).map(([stopped, other]) => `${stopped} takes down ${other}`),
    ...pairs(upholdTies(units)).map(([upheld, by]) => `${by} upholds ${upheld}`),
    ...pairs(conflictTies(units))
      .map(([unit, other]) => `${unit} excludes ${other}`)
      .sort(),
  ]).toEqual(effects);
});

it('an option has no effect in another section', () => {
  expect(stopTies(dependentPair('Requires', 'Service'))).toEqual(new Map());
});
