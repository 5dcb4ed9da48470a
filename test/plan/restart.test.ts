import { describe, expect, it } from 'vitest';
import type { ObservedUnit } from '../../src/cluster/unit-state.ts';
import { plan } from '../../src/plan/plan.ts';
import {
  cluster,
  desiredUnit,
  foreignUnit,
  idOf,
  observedUnit,
  recordOf,
  systemdState,
} from '../support/builders.ts';

const LAUNCHED = desiredUnit('a.service', '', { machine: 'm1', token: 5 });
const LOADED = desiredUnit('a.service', '', { machine: 'm1', token: 5, target: 'loaded' });
const failed = { state: systemdState('failed') };
const oldNote = { record: recordOf(LAUNCHED, { token: 4 }) };

/** The steps of a plan with `restart` for a unit of that kind, seen like that on its machine. */
function stepsOf(unit: typeof LAUNCHED, observed: ObservedUnit): readonly string[] {
  const snapshot = cluster()
    .machine('m1', {}, { units: [observed] })
    .snapshot({ units: [unit] });
  const [here] = plan(snapshot, new Map([['a.service', [idOf('m1')]]]), {
    actions: new Map([['a.service', 'restart']]),
  });
  return (
    here?.changes.flatMap(({ steps, obstacle }) => obstacle?.code ?? steps.map(({ kind }) => kind)) ?? []
  );
}

describe('a plan that restarts', () => {
  it.each([
    ['restarts what runs as wanted', LAUNCHED, observedUnit(LAUNCHED), ['restart']],
    [
      'brings the note up to date on the way',
      LAUNCHED,
      observedUnit(LAUNCHED, oldNote),
      ['record', 'restart'],
    ],
    ['starts what is down, once', LAUNCHED, observedUnit(LAUNCHED, failed), ['record', 'start']],
    [
      'gives what runs with another text its own, and that is its restart',
      LAUNCHED,
      observedUnit(LAUNCHED, { digest: 'other' }),
      ['stop', 'write', 'record', 'start'],
    ],
    ['leaves a unit that is only loaded', LOADED, observedUnit(LOADED), []],
    ['leaves what is not ours', LAUNCHED, foreignUnit('a.service'), ['foreign']],
  ])('%s', (_sentence, unit, observed, expected) => {
    expect(stepsOf(unit, observed)).toEqual(expected);
  });
});
