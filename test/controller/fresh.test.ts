import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot, DesiredUnit } from '../../src/cluster/snapshot.ts';
import type { ObservedUnit } from '../../src/cluster/unit-state.ts';
import { machinesToObserve, wasOutdated } from '../../src/controller/fresh.ts';
import type { Action } from '../../src/plan/steps.ts';
import {
  cluster,
  desiredUnit,
  observedUnit,
  recordOf,
  systemdState,
  type UnitOptions,
} from '../support/builders.ts';

type Scene = {
  readonly unit?: UnitOptions;
  readonly fleet?: string;
  /** What m1 has of it. */
  readonly there?: (unit: DesiredUnit) => ObservedUnit;
  readonly action?: Action;
  readonly names?: readonly string[];
  readonly change?: (snapshot: ClusterSnapshot) => ClusterSnapshot;
};

const ON_M1: UnitOptions = { machine: 'm1' };

/** The machines of m1 and m2 that a pass over a.service has to observe. */
function toObserve({
  unit = ON_M1,
  fleet = '',
  there,
  action,
  names = ['a.service'],
  change,
}: Scene): readonly string[] {
  const desired = desiredUnit('a.service', fleet, unit);
  const units = there === undefined ? [] : [there(desired)];
  const built = cluster().machine('m1', {}, { units }).machine('m2').unit('a.service', fleet, unit);
  const snapshot = (change ?? ((same) => same))(built.snapshot());
  const actions = new Map(action === undefined ? [] : [['a.service', action] as const]);
  return [...machinesToObserve(snapshot, new Set(names), { actions })];
}

const running = (unit: DesiredUnit): ObservedUnit => observedUnit(unit);
const stopped = (unit: DesiredUnit): ObservedUnit => observedUnit(unit, { state: systemdState('dead') });
const launched = (unit: DesiredUnit): ObservedUnit =>
  observedUnit(unit, {
    state: systemdState('running'),
    record: recordOf(unit, { target: 'launched' }),
  });

describe('a pass of a command observes', () => {
  it.each<readonly [string, Scene]>([
    ['is new', { unit: {}, action: 'start' }],
    ['is to have another text', { there: (unit) => ({ ...launched(unit), digest: 'old' }), action: 'start' }],
    ['is to stop', { unit: { ...ON_M1, target: 'loaded' }, there: launched, action: 'stop' }],
    ['is to be removed', { unit: { ...ON_M1, target: 'inactive' }, there: running, action: 'stop' }],
  ])('no machine for a unit that %s', (_, scene) => {
    expect(toObserve(scene)).toEqual([]);
  });

  it.each<readonly [string, Scene]>([
    ['runs already', { there: running, action: 'start' }],
    ['is to start with the text that is there', { there: stopped, action: 'start' }],
    ['is stopped already', { unit: { ...ON_M1, target: 'loaded' }, there: stopped, action: 'stop' }],
    ['is not there any more', { unit: { ...ON_M1, target: 'inactive' } }],
    ['is foreign', { there: (unit) => observedUnit(unit, { record: undefined }), action: 'start' }],
  ])('the machine of a unit that %s', (_, scene) => {
    expect(toObserve(scene)).toContain('m1');
  });

  it.each<readonly [string, Scene]>([
    ['is restarted', { there: running, action: 'restart' }],
    ['is run once', { unit: { ...ON_M1, target: 'loaded' }, there: stopped, action: 'run' }],
    ['is fenced', { unit: {}, fleet: 'Fenced=true', action: 'start' }],
    ['fits no machine', { unit: {}, fleet: 'MachineMetadata=no=such', action: 'start' }],
    ['the registry does not have', { names: ['a.service', 'gone.service'] }],
    [
      'another one depends on',
      {
        unit: {},
        change: (snapshot) => {
          const dependencies = [
            { kind: 'Requires', unit: 'a.service', source: 'Requires=a.service' },
          ] as const;
          return { ...snapshot, units: [...snapshot.units, { ...desiredUnit('b.service'), dependencies }] };
        },
      },
    ],
    [
      'a timer starts',
      {
        unit: {},
        change: (snapshot) => ({
          ...snapshot,
          units: [...snapshot.units, { ...desiredUnit('a.timer'), triggers: 'a.service' }],
        }),
      },
    ],
  ])('every machine for a unit that %s', (_, scene) => {
    expect(toObserve(scene)).toEqual(['m1', 'm2']);
  });
});

it('a refusal that more observation may avoid leads to a second pass', () => {
  const outcome = { unit: 'a.service', machine: 'm1', state: undefined };
  const foreign = { ...outcome, failure: { code: 'foreign', path: '/x' } } as const;
  const unverified = { ...outcome, failure: { code: 'unverified' } } as const;
  expect(wasOutdated({ outcomes: [unverified, foreign] })).toBe(true);
  expect(wasOutdated({ outcomes: [unverified, { ...outcome, failure: undefined }] })).toBe(false);
});
