import { expect, it } from 'vitest';
import { type Drift, driftOf } from '../../src/cluster/drift.ts';
import type { ObservedUnit } from '../../src/cluster/unit-state.ts';
import { desiredUnit, observedUnit, recordOf, systemdState } from '../support/builders.ts';

const unit = desiredUnit('a.service');

it.each<readonly [string, Partial<ObservedUnit>, Drift | undefined]>([
  ['nothing', { links: [] }, undefined],
  ['a file that was changed', { digest: 'other', links: [] }, 'altered'],
  ['a file that was removed', { digest: undefined, links: [] }, 'altered'],
  ['no file, where digests were not asked for', { digest: undefined }, undefined],
  ['an older text', { record: recordOf(unit, { digest: 'old' }) }, 'outdated'],
  ['a damaged record', { lost: 'damaged' }, 'damaged'],
  ['a drop-in', { state: systemdState('running', { dropIns: ['/x.conf'] }) }, 'drop-in'],
  ['a unit that fleet did not install', { record: undefined, digest: 'other' }, undefined],
])('what differs from the registry: %s', (_, changes, drift) => {
  expect(driftOf({ ...observedUnit(unit), ...changes }, unit)).toBe(drift);
});
