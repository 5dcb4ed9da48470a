import { describe, expect, it } from 'vitest';
import type { Confirmation } from '../../src/cluster/confirmation.ts';
import type { ObservedUnit } from '../../src/cluster/unit-state.ts';
import { plan } from '../../src/plan/plan.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { cluster, desiredUnit, idOf, observedUnit, recordOf, systemdState } from '../support/builders.ts';

const NAME = 'a.service';
const UNIT = desiredUnit(NAME, 'Confirm=30s', { token: 5, machine: 'm1' });
const running = systemdState('running');
const common = { unit: NAME, token: 5, hash: UNIT.hash, digest: UNIT.digest, windowMs: 30_000 };
const armed: Confirmation = { ...common, state: 'armed', deadline: 1012 };

function changeOf(
  observed: Partial<ObservedUnit> | undefined,
  confirmations: readonly Confirmation[] = [],
  unit = UNIT,
) {
  const units = observed === undefined ? [] : [observedUnit(UNIT, observed)];
  const base = cluster().machine('m1', {}, { units }).snapshot();
  const machines = base.machines.map((view) =>
    view.observation === undefined
      ? view
      : { ...view, observation: { ...view.observation, uptimeSeconds: 1000, confirmations } },
  );
  const snapshot = { ...base, machines, units: [unit] };
  return plan(snapshot, new Map([[NAME, [idOf('m1')]]]))[0]?.changes[0];
}

const kinds = (change: UnitChange | undefined): readonly string[] | undefined =>
  change?.steps.map(({ kind }) => kind);

describe('a unit with Confirm=', () => {
  it('has a revert armed before everything else, if it is started', () => {
    const arm = { kind: 'arm', windowMs: 30_000, hash: UNIT.hash, digest: UNIT.digest };
    expect(changeOf(undefined)?.steps[0]).toEqual(arm);
    const old = { state: running, digest: 'old', record: recordOf(UNIT, { token: 4 }) };
    expect(kinds(changeOf(old))).toEqual(['arm', 'stop', 'write', 'record', 'start']);
    expect(kinds(changeOf({ state: systemdState('failed') }))).toEqual(['arm', 'record', 'start']);
  });

  it('needs none if it is not started', () => {
    const noted = { state: running, record: recordOf(UNIT, { token: 4 }) };
    expect(kinds(changeOf(noted))).toEqual(['record']);
  });

  it('is not changed while an earlier change waits for its confirmation', () => {
    expect(changeOf(undefined, [armed])?.obstacle).toEqual({ code: 'awaits-confirmation', leftMs: 12_000 });
    expect(changeOf({ state: running, record: recordOf(UNIT) }, [armed])).toBeUndefined();
  });

  it('is not as wanted while its machine is about to revert it', () => {
    const overdue = { ...armed, deadline: 999 };
    expect(changeOf({ state: running, record: recordOf(UNIT) }, [overdue])).toMatchObject({
      steps: [],
      obstacle: { code: 'awaits-confirmation', leftMs: 0 },
    });
  });
});
