import { describe, expect, it } from 'vitest';
import type { Reason } from '../../src/cluster/reason.ts';
import { cluster, foreignUnit, type UnitOptions } from '../support/builders.ts';
import { against } from './ask.ts';

const UNIT = 'a.service';

const ONE = cluster().machine('m1');

describe('Conflicts=', () => {
  const two = ONE.machine('m2');
  const conflict = (unit: string, pattern: string, declaredBy: 'this' | 'other', global = false): Reason => ({
    code: 'conflict',
    unit,
    pattern,
    declaredBy,
    global,
  });
  const here = { machine: 'm1' };
  it.each<readonly [string, string, string, UnitOptions, Reason | undefined]>([
    ['a name', 'Conflicts=b.service', '', here, conflict('b.service', 'b.service', 'this')],
    ['a name without its suffix', 'Conflicts=b', '', here, conflict('b.service', 'b.service', 'this')],
    ['a glob', 'Conflicts=[a-c].*', '', here, conflict('b.service', '[a-c].*', 'this')],
    ['a glob that does not match', 'Conflicts=[x-z].*', '', here, undefined],
    ['declared by the other', '', 'Conflicts=a.*', here, conflict('b.service', 'a.*', 'other')],
    ['declared by both', 'Conflicts=b.*', 'Conflicts=a.*', here, conflict('b.service', 'b.*', 'this')],
    ['the other is elsewhere', 'Conflicts=b.service', '', { machine: 'm2' }, undefined],
    ['the other is nowhere', 'Conflicts=b.service', '', {}, undefined],
    [
      'a loaded unit counts',
      'Conflicts=b.service',
      '',
      { machine: 'm1', target: 'loaded' },
      conflict('b.service', 'b.service', 'this'),
    ],
    ['an inactive one does not', 'Conflicts=b.service', '', { machine: 'm1', target: 'inactive' }, undefined],
    ['everything: the unit itself is not meant', 'Conflicts=*', '', {}, undefined],
    [
      'a global unit that would run there, wherever it runs now',
      'Conflicts=b.service',
      'Global=true',
      {},
      conflict('b.service', 'b.service', 'this', true),
    ],
    [
      'declared by a global unit',
      '',
      'Global=true\nConflicts=a.service',
      {},
      conflict('b.service', 'a.service', 'other', true),
    ],
    [
      'a global unit that does not fit the machine',
      'Conflicts=b.service',
      'Global=true\nMachineMetadata=role=db',
      {},
      undefined,
    ],
    [
      'a global unit that is wanted nowhere',
      'Conflicts=b.service',
      'Global=true',
      { target: 'inactive' },
      undefined,
    ],
  ])('%s', (_, mine, theirs, options, expected) => {
    const snapshot = two.unit(UNIT, mine).unit('b.service', theirs, options).snapshot();
    expect(against(snapshot, UNIT)).toEqual(expected === undefined ? [] : [expected]);
  });

  it('keeps instances of one template apart, and an instance is at peace with itself', () => {
    const spread = 'Conflicts=spread@*.service';
    const builder = ONE.unit('spread@1.service', spread, { machine: 'm1' }).unit('spread@2.service', spread, {
      machine: 'm1',
    });
    const expected = conflict('spread@2.service', 'spread@*.service', 'this');
    expect(against(builder.snapshot(), 'spread@1.service')).toEqual([expected]);
    const alone = ONE.unit('spread@1.service', spread, { machine: 'm1' });
    expect(against(alone.snapshot(), 'spread@1.service')).toEqual([]);
  });

  it('names the first by name of several units in conflict', () => {
    const builder = ONE.unit(UNIT, 'Conflicts=*')
      .unit('c.service', '', { machine: 'm1' })
      .unit('b.service', '', { machine: 'm1' });
    expect(against(builder.snapshot(), UNIT)).toEqual([conflict('b.service', '*', 'this')]);
  });

  it('keeps a global unit from the machine of a standard one, in both directions', () => {
    const mine = ONE.unit(UNIT, 'Global=true\nConflicts=b.*').unit('b.service', '', { machine: 'm1' });
    const theirs = ONE.unit(UNIT, 'Global=true').unit('b.service', 'Conflicts=a.*', { machine: 'm1' });
    expect(against(mine.snapshot(), UNIT)).toEqual([conflict('b.service', 'b.*', 'this')]);
    expect(against(theirs.snapshot(), UNIT)).toEqual([conflict('b.service', 'a.*', 'other')]);
  });

  describe('between two global units', () => {
    const global = 'Global=true';
    const rival = 'Global=true\nConflicts=a.service';
    const has = (name: string) => ({
      units: [
        {
          ...foreignUnit(name),
          record: { unit: name, token: 1, hash: '', digest: '', target: 'launched' as const },
        },
      ],
    });

    it('gives the machine to the first by name', () => {
      const snapshot = ONE.unit(UNIT, global).unit('b.service', rival).snapshot();
      expect(against(snapshot, UNIT)).toEqual([]);
      expect(against(snapshot, 'b.service')).toEqual([conflict('a.service', 'a.service', 'this', true)]);
    });

    it('but leaves it to the one that is there', () => {
      const snapshot = cluster()
        .machine('m1', {}, has('b.service'))
        .unit(UNIT, global)
        .unit('b.service', rival)
        .snapshot();
      expect(against(snapshot, UNIT)).toEqual([conflict('b.service', 'a.service', 'other', true)]);
      expect(against(snapshot, 'b.service')).toEqual([]);
    });
  });
});
