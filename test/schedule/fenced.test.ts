import { describe, expect, it } from 'vitest';
import { leaseEnd, leaseFor } from '../../src/cluster/lease.ts';
import type { ClusterSnapshot, LeaseEnds, MachineView } from '../../src/cluster/snapshot.ts';
import { orderOf } from '../../src/plan/order.ts';
import { plan } from '../../src/plan/plan.ts';
import { type Decision, leavingOf, placementsOf } from '../../src/schedule/decision.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import {
  cluster,
  desiredUnit,
  idOf,
  NOW,
  observedUnit,
  recordOf,
  systemdState,
  TTL_MS,
} from '../support/builders.ts';

const FENCED = 'Fenced=true';
/** TimeoutStopSec= unless given, and what is added for systemd; and a tenth more of it, for clocks differ. */
const AFTER_MS = (10_000 + 1000) * 1.1;
const LEASE = { bootId: 'boot', deadline: 1020 };

function withLease(view: MachineView): MachineView {
  const { observation } = view;
  return observation === undefined ? view : { ...view, observation: { ...observation, lease: LEASE } };
}

/** Everyone who answers has a lease; unreachable machines gave their last answer so many ms ago. */
function led(snapshot: ClusterSnapshot, answeredMsAgo: number): ClusterSnapshot {
  const end = leaseEnd(NOW - answeredMsAgo, TTL_MS);
  const leases: LeaseEnds = { ofMachines: new Map(), ofOthers: end };
  return { ...snapshot, machines: snapshot.machines.map(withLease), leases };
}

const THREE = cluster()
  .unreachable('m1', 2 * TTL_MS)
  .machine('m2')
  .machine('m3');
const decide = (snapshot: ClusterSnapshot): Decision | undefined => schedule(snapshot)[0];

describe('a fenced unit', () => {
  it('goes to no machine without a lease', () => {
    const snapshot = cluster().machine('m1').unit('a.service', FENCED).snapshot();
    const rejected = [{ machine: 'm1', reason: { code: 'no-lease' } }];
    expect(decide(snapshot)).toEqual({ kind: 'unschedulable', unit: 'a.service', rejected });
    expect(decide(led(snapshot, 0))).toMatchObject({ kind: 'place', machine: idOf('m1') });
  });

  it.each([
    ['was over', 0, 'unschedulable'],
    ['was about to end, because no controller extends it,', 1.9, 'unschedulable'],
    ['is extended', 2, 'place'],
  ])('has regard to a lease that %s when the machine answered', (_sentence, leftSeconds, kind) => {
    const snapshot = led(cluster().machine('m1').unit('a.service', FENCED).snapshot(), 0);
    const late = snapshot.machines.map((view) =>
      view.observation === undefined
        ? view
        : { ...view, observation: { ...view.observation, uptimeSeconds: LEASE.deadline - leftSeconds } },
    );
    expect(decide({ ...snapshot, machines: late })).toMatchObject({ kind });
  });

  it.each([
    [TTL_MS, 3000 + AFTER_MS],
    [TTL_MS * 1.1 + AFTER_MS - 1, 1],
  ])('stays on an unreachable machine that answered %i ms ago', (ago, forMs) => {
    const snapshot = led(THREE.unit('a.service', FENCED, { machine: 'm1' }).snapshot(), ago);
    const violation = { code: 'lease-may-hold', machine: 'm1', forMs: expect.closeTo(forMs, 3) };
    expect(decide(snapshot)).toMatchObject({ kind: 'keep', violation });
  });

  it('leaves it when its last lease and its stop are over', () => {
    const snapshot = led(
      THREE.unit('a.service', FENCED, { machine: 'm1' }).snapshot(),
      TTL_MS * 1.1 + AFTER_MS,
    );
    expect(decide(snapshot)).toMatchObject({ kind: 'move', machine: idOf('m2') });
  });

  it('never leaves it for who does not know when that is', () => {
    const { leases: _, ...snapshot } = led(THREE.unit('a.service', FENCED, { machine: 'm1' }).snapshot(), 0);
    const violation = { code: 'lease-may-hold', machine: 'm1', forMs: undefined };
    expect(decide(snapshot)).toMatchObject({ kind: 'keep', violation });
  });

  it('waits for a machine that has left fleet.conf, too', () => {
    const two = cluster().machine('m2').machine('m3').unit('a.service', FENCED, { machine: 'm1' }).snapshot();
    expect(decide(led(two, 0))).toMatchObject({ kind: 'keep', violation: { code: 'lease-may-hold' } });
    expect(decide(led(two, TTL_MS * 1.1 + AFTER_MS))).toMatchObject({ kind: 'move' });
  });

  it('is not brought to its machine while an unreachable one may have it', () => {
    const snapshot = led(THREE.unit('a.service', FENCED, { machine: 'm2' }).snapshot(), 0);
    expect(decide(snapshot)).toMatchObject({ kind: 'keep', violation: undefined });
    const [change] = changesOf(snapshot).m2 ?? [];
    expect(change).toMatchObject({
      steps: [],
      obstacle: { code: 'fenced', reason: { code: 'lease-may-hold' } },
    });
  });
});

/** The steps that each machine gets, by its name. */
function changesOf(snapshot: ClusterSnapshot) {
  const scope = new Set(snapshot.units.map(({ name }) => name));
  const decisions = schedule(snapshot, scope);
  const plans = plan(snapshot, placementsOf(decisions, scope));
  return Object.fromEntries(plans.map(({ machine, changes }) => [machine, changes]));
}

describe('the plan for a fenced unit', () => {
  const unit = desiredUnit('a.service', FENCED, { machine: 'm1' });
  const copy = observedUnit(unit);

  it('forbids it elsewhere, and stops other copies, before it starts under the lease that was seen', () => {
    const snapshot = led(
      cluster()
        .machine('m1')
        .machine('m2', {}, { units: [copy] })
        .machine('m3')
        .unit('a.service', FENCED, { machine: 'm1' })
        .snapshot(),
      0,
    );
    const decisions = schedule(snapshot);
    const placements = placementsOf(decisions, new Set(['a.service']));
    const plans = plan(snapshot, placements);
    const leaving = leavingOf(decisions);
    const order = orderOf({ plans, snapshot, placements, leaving, maxParallel: undefined });
    expect(order).toHaveLength(3);
    const [forbidden = [], before = [], main = []] = order.map((wave) => wave.plans);
    const told = [forbidden, before].map((plans) =>
      plans.map(({ machine, changes }) => [machine, changes[0]?.steps.map(({ kind }) => kind)]),
    );
    // If m3 does not confirm, m2 keeps the unit.
    expect(told).toEqual([[['m3', ['forbid']]], [['m2', ['stop', 'remove']]]]);
    expect(main.map(({ machine }) => machine)).toEqual(['m1']);
    expect(main[0]?.changes[0]?.steps).toMatchObject([
      { kind: 'write', under: LEASE },
      { kind: 'record', links: [], fence: expect.stringContaining('PartOf=fleet-lease.service') },
      { kind: 'start', under: LEASE },
    ]);
  });

  it('puts a drop-in right that is missing or was changed, and leaves one that is right', () => {
    const steps = (fence?: string) => {
      const here = { ...copy, ...(fence !== undefined && { fence }) };
      const snapshot = led(
        cluster()
          .machine('m1', {}, { units: [here] })
          .unit('a.service', FENCED, { machine: 'm1' })
          .snapshot(),
        0,
      );
      return changesOf(snapshot).m1?.[0]?.steps.map(({ kind }) => kind);
    };
    expect(steps()).toEqual(['record']);
    expect(steps('0'.repeat(64))).toEqual(['record']);
  });

  it('stops and unloads it without a lease', () => {
    const loaded = { ...unit, target: 'loaded' as const };
    const base = cluster().machine('m1', {}, { units: [copy] });
    const stop = base.unit('a.service', FENCED, { machine: 'm1', target: 'loaded' }).snapshot();
    expect(changesOf(stop).m1?.[0]?.steps[0]).toEqual({ kind: 'stop' });
    const down = cluster().machine(
      'm1',
      {},
      { units: [{ ...copy, record: recordOf(loaded), state: systemdState('dead') }] },
    );
    const unload = down.unit('a.service', FENCED, { machine: 'm1', target: 'inactive' }).snapshot();
    expect(changesOf(unload).m1?.[0]?.steps).toEqual([{ kind: 'stop' }, { kind: 'remove' }]);
  });
});

it('a lease ends by the clock of the answer, and by ours at the latest a tenth later', () => {
  const answer = { id: idOf('m1'), cluster: undefined, bootId: 'b', uptimeSeconds: 12.5, units: [] };
  expect(leaseFor(answer, 30_000)).toEqual({ bootId: 'b', deadline: 42.5 });
  expect(leaseEnd(1000, 30_000)).toBe(34_000);
});
