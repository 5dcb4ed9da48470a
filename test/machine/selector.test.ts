import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import {
  type IdentifiedMachine,
  isIdPrefix,
  matchMachines,
  selectMachine,
} from '../../src/machine/selector.ts';

const MACHINES: readonly IdentifiedMachine[] = [
  known('web-1', '10.10.1.1', '148a18ff6e954cd892dac9de9bb90d5a'),
  known('web-2', '10.10.1.2', '148b00000000000000000000000000aa'),
  known('db', 'Db.Example:2222', 'c0ffee00000000000000000000000000'),
  known('c0ffee', '[fe80::1]:22', 'db000000000000000000000000000000'),
  known('new', '10.10.1.9', undefined),
];

describe('what a person may call a machine', () => {
  it.each([
    ['its name', 'web-1', ['web-1']],
    ['its address', '10.10.1.2', ['web-2']],
    ['its address with the port that fleet.conf has', 'Db.Example:2222', ['db']],
    ['its address without the port', 'Db.Example', ['db']],
    ['a host name in other letters', 'db.example', ['db']],
    ['an IPv6 address without brackets and port', 'fe80::1', ['c0ffee']],
    ['the whole id', '148a18ff6e954cd892dac9de9bb90d5a', ['web-1']],
    ['the id as a UUID', '148a18ff-6e95-4cd8-92da-c9de9bb90d5a', ['web-1']],
    ['the beginning of the id', '148a', ['web-1']],
    ['the beginning of the UUID, behind a dash', '148a18ff-6e', ['web-1']],
    ['the beginning of the id in capitals', '148A', ['web-1']],
    ['the beginning of two ids', '148', ['web-1', 'web-2']],
    ['a name that is also the beginning of an id', 'db', ['db']],
    ['a name that another id begins with', 'c0ffee', ['c0ffee']],
    ['more than an id', '148a18ff6e954cd892dac9de9bb90d5a0', []],
    ['part of a name', 'web', []],
    ['a name in other letters', 'WEB-1', []],
    ['part of an address', '10.10.1', []],
    ['nothing but dashes', '--', []],
    ['nothing', '', []],
  ])('%s', (_, text, names) => {
    expect(matchMachines(text, MACHINES).map(({ machine }) => machine.name)).toEqual(names);
  });
});

it('selects the one machine that is meant', () => {
  expect(selectMachine('148b', MACHINES)).toBe(MACHINES[1]);
});

it('lists the machines that may be meant', () => {
  expect(problem('148')).toMatchObject({
    code: 'usage',
    message: '"148" matches several machines: web-1 (148a18ff.../10.10.1.1), web-2 (148b0000.../10.10.1.2)',
  });
});

it('says when there is no such machine', () => {
  expect(problem('web-3')).toMatchObject({ code: 'machine-not-found', message: 'No such machine: "web-3"' });
});

it.each([
  ['148A-18', true],
  ['web', false],
  ['-', false],
  ['', false],
])('takes %j for the beginning of an id: %j', (text, expected) => {
  expect(isIdPrefix(text)).toBe(expected);
});

function known(name: string, address: string, id: string | undefined): IdentifiedMachine {
  return { machine: { name, address, metadata: {} }, id };
}

function problem(text: string): unknown {
  try {
    return selectMachine(text, MACHINES);
  } catch (error) {
    expect(error).toBeInstanceOf(FleetError);
    return error;
  }
}
