import { expect, it } from 'vitest';
import {
  aliasesOf,
  conflictTies,
  stopTies,
  type Ties,
  upholdTies,
  withoutAliases,
} from '../../src/cluster/dependencies.ts';
import { tieText } from '../../src/cluster/reason.ts';
import type { DesiredUnit } from '../../src/cluster/snapshot.ts';
import type { DependencyKind } from '../../src/unit/dependencies.ts';
import { dependentPair, desiredUnit } from '../support/builders.ts';

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

function unit(name: string, ...lines: readonly string[]): DesiredUnit {
  return desiredUnit(name, '', { text: `[Service]\nExecStart=/bin/true\n${lines.join('\n')}\n` });
}

function resolved(...units: readonly DesiredUnit[]): readonly DesiredUnit[] {
  const aliases = aliasesOf(units, (name) => units.some((each) => each.name === name));
  return units.map((each) => withoutAliases(each, aliases));
}

it.each([
  ['its own', 'd.service', 'Alias=x.service', 'x.service', ['d.service']],
  ['with a specifier', 'd.service', 'Alias=%p-x.service', 'd-x.service', ['d.service']],
  ['of an instance', 'd@1.service', 'Alias=x@.service', 'x@1.service', ['d@1.service']],
  ['of another instance', 'd@1.service', 'Alias=x@.service', 'x@2.service', ['x@2.service']],
  ['of a unit of that name', 'd.service', 'Alias=a.service', 'a.service', ['a.service']],
])('another name means its unit: %s', (_, name, alias, named, expected) => {
  const [, other] = resolved(
    unit(name, '[Install]', alias),
    unit('b.service', '[Unit]', `Wants=${named}`),
    unit('a.service'),
  );
  expect(other?.dependencies.map((each) => each.unit)).toEqual(expected);
});

it('units with one name are all meant, and a tie has the words of the text', () => {
  const units = resolved(
    unit('d.service', '[Install]', 'Alias=x.service'),
    unit('e.service', '[Install]', 'Alias=x.service'),
    unit('a.service', '[Unit]', 'Conflicts=x.service', 'BindsTo=x.service'),
    unit('b.service', '[Install]', 'RequiredBy=x.service'),
  );
  expect([...conflictTies(units).keys()].sort()).toEqual(['a.service', 'd.service', 'e.service']);
  const stops = stopTies(units);
  expect(stops.get('e.service')?.map(tieText)).toEqual(['BindsTo=x.service in line 5 of "a.service"']);
  expect(stops.get('b.service')?.map((tie) => tie.unit)).toEqual(['d.service', 'e.service']);
});

it('the options of [X-Fleet] have names of units, and none of them the unit itself', () => {
  const options = ['[X-Fleet]', 'MachineOf=x.service', 'Conflicts=y.service y*.service'];
  const [, a, b, c] = resolved(
    unit('d.service', '[Install]', 'Alias=x.service y.service'),
    unit('a.service', ...options),
    unit('b.service', '[Install]', 'Alias=z.service', '[X-Fleet]', 'MachineOf=z.service'),
    unit('c.service', '[X-Fleet]', 'Replaces=x.service'),
  );
  expect(a?.placement).toMatchObject({ machineOf: ['d.service'], conflicts: ['d.service', 'y*.service'] });
  expect([b?.placement.machineOf, c?.placement.replaces]).toEqual([[], ['d.service']]);
});
