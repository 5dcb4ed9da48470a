import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { leaseEnd } from '../../src/cluster/lease.ts';
import type { ClusterSnapshot, Lease } from '../../src/cluster/snapshot.ts';
import type { ObservedUnit } from '../../src/cluster/unit-state.ts';
import { fenceText } from '../../src/plan/links-and-drop-in.ts';
import { plan } from '../../src/plan/plan.ts';
import { MACHINE_PATHS } from '../../src/systemd/script.ts';
import { cluster, desiredUnit, idOf, NOW, observedUnit, systemdState, TTL_MS } from '../support/builders.ts';

const UNIT = desiredUnit('a.service', 'Fenced=true', { machine: 'm1', token: 5 });
const FENCE = { fence: sha256(fenceText(UNIT) ?? '') };
const LEASE: Lease = { bootId: 'boot', deadline: 1020 };
const NO_LEASE = { code: 'fenced', reason: { code: 'no-lease' } };
const RUNNING = observedUnit(UNIT, FENCE);
const DEAD = observedUnit(UNIT, { ...FENCE, state: systemdState('dead') });

/** The cluster when m1 shows the unit like that, under that lease. */
function seen(observed: ObservedUnit | undefined, lease: Lease | undefined): ClusterSnapshot {
  const units = observed === undefined ? [] : [observed];
  const snapshot = cluster()
    .machine('m1', {}, { units })
    .snapshot({ units: [UNIT] });
  const machines = snapshot.machines.map((view) =>
    view.observation === undefined ? view : { ...view, observation: { ...view.observation, lease } },
  );
  return { ...snapshot, machines, leases: { ofMachines: new Map(), ofOthers: leaseEnd(NOW, TTL_MS) } };
}

function planned(snapshot: ClusterSnapshot, restart = false) {
  return plan(snapshot, new Map([['a.service', [idOf('m1')]]]), {
    actions: new Map(restart ? [['a.service', 'restart']] : []),
  })[0]?.changes[0];
}

it('the drop-in of a fenced unit holds it back before the first lease after a boot, too', () => {
  expect(fenceText(UNIT)?.split('\n')).toEqual(
    expect.arrayContaining(['Requisite=fleet-lease.service', `AssertPathExists=${MACHINE_PATHS.run}/lease`]),
  );
});

describe('the lease guard of a plan', () => {
  it.each([
    ['is not brought', undefined, false],
    ['is not started', DEAD, false],
    ['is not restarted', RUNNING, true],
  ])('a fenced unit %s without a lease', (_sentence, observed, restart) => {
    expect(planned(seen(observed, undefined), restart)).toMatchObject({ steps: [], obstacle: NO_LEASE });
  });

  it.each([
    ['brought', undefined, false, ['write', 'start']],
    ['started', DEAD, false, ['start']],
    ['restarted', RUNNING, true, ['restart']],
  ])('a fenced unit is %s under the lease that was seen', (_sentence, observed, restart, kinds) => {
    const steps = planned(seen(observed, LEASE), restart)?.steps ?? [];
    const under = steps.filter((step) => 'under' in step);
    expect(under.map(({ kind }) => kind)).toEqual(kinds);
    expect(under).toEqual(kinds.map(() => expect.objectContaining({ under: LEASE })));
  });
});
