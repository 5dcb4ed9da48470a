import { expect, it } from 'vitest';
import { aliasesOf, withoutAliases } from '../../src/cluster/aliases.ts';
import { conflictTies, stopTies, tieText } from '../../src/cluster/dependencies.ts';
import type { DesiredUnit } from '../../src/cluster/snapshot.ts';
import { desiredUnit } from '../support/builders.ts';

function unit(name: string, ...lines: readonly string[]): DesiredUnit {
  return desiredUnit(name, '', { text: `[Service]\nExecStart=/bin/true\n${lines.join('\n')}\n` });
}

function resolved(...units: readonly DesiredUnit[]): readonly DesiredUnit[] {
  const aliases = aliasesOf(new Map(units.map((each) => [each.name, each])));
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
