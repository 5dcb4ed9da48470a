import { describe, expect, it } from 'vitest';
import { type SystemdState, unknownState } from '../../src/cluster/unit-state.ts';
import { ChangeNotifier } from '../../src/controller/change-notifier.ts';
import { cluster, desiredUnit, observedUnit, systemdState } from '../support/builders.ts';

describe('the notifier of a unit', () => {
  const told: unknown[] = [];
  const notifier = new ChangeNotifier((notice) => {
    if (notice.kind === 'unit-state') told.push(notice.state?.active);
  });
  const see = (...states: readonly SystemdState[]): void => {
    const units = states.map((state) => ({ ...observedUnit(desiredUnit('a.service')), state }));
    notifier.units(cluster().machine('m1', {}, { units }).snapshot().machines);
  };

  it('ignores states that could not be read, and reports a change across one once', () => {
    see(systemdState('running'));
    see(unknownState('Invalid argument'));
    see(systemdState('running'));
    expect(told).toEqual([]);
    see(unknownState('Invalid argument'));
    see(systemdState('failed'));
    expect(told).toEqual(['failed']);
    see();
    see(unknownState('Invalid argument'));
    expect(told).toEqual(['failed', undefined]);
  });
});
