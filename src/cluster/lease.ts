import { CLOCK_DRIFT } from '../base/time.ts';
import type { MachineId } from '../machine/machine.ts';
import type { FenceReason } from './reason.ts';
import type { ClusterSnapshot, DesiredUnit, Lease, LeaseEnds, MachineView, Observation } from './snapshot.ts';

/** The longest time from the deadline of a lease until systemd stops its units, in ms. */
const MARGIN_MS = 1000;

/**
 * The lease that a machine may get after an answer. It lasts `ttlMs` from the time of that answer, by the machine's own
 * clock, so a delay on the way to the machine does not extend it.
 */
export function leaseFor({ bootId, uptimeSeconds }: Observation, ttlMs: number): Lease {
  return { bootId, deadline: uptimeSeconds + ttlMs / 1000 };
}

/**
 * The latest end of a lease from {@link leaseFor}, by the clock of the process that got the answer at `answeredAt`. That
 * clock may run faster than the machine's by {@link CLOCK_DRIFT}.
 */
export function leaseEnd(answeredAt: number, ttlMs: number): number {
  return answeredAt + byOurClock(ttlMs);
}

/** The lease that a machine had when it answered; undefined if it had none, or an expired one. */
export function leaseOf({ observation }: Pick<MachineView, 'observation'>): Lease | undefined {
  const lease = observation?.lease;
  return lease !== undefined && lease.deadline > (observation?.uptimeSeconds ?? 0) ? lease : undefined;
}

/** The time that a start needs of the lease, in ms; less than a lease has left while a controller extends it. */
const START_MS = 2000;

/** Whether a unit may be started under the lease. A lease with less time may be left from the last fenced unit, and end at once. */
export function mayStartUnder(view: Pick<MachineView, 'observation'>, agentTtlMs: number): boolean {
  const lease = leaseOf(view);
  const leftMs = ((lease?.deadline ?? 0) - (view.observation?.uptimeSeconds ?? 0)) * 1000;
  return lease !== undefined && leftMs >= Math.min(START_MS, agentTtlMs / 3);
}

/** The reason against starting a fenced unit on `machine`: it has no lease, or another machine may run the unit. */
export function fenceViolation(
  unit: DesiredUnit,
  machine: MachineView,
  snapshot: ClusterSnapshot,
): FenceReason | undefined {
  if (unit.placement.fence === undefined) return undefined;
  const held = heldElsewhere(unit, machine, snapshot);
  if (held !== undefined) return held;
  return machine.observation !== undefined && !mayStartUnder(machine, snapshot.agentTtlMs)
    ? { code: 'no-lease' }
    : undefined;
}

/** The unreachable machine whose lease may allow the unit to run there for the longest time. */
function heldElsewhere(
  unit: DesiredUnit,
  { id }: MachineView,
  { machines, now, leases }: ClusterSnapshot,
): FenceReason | undefined {
  const unreachable = machines.filter((view) => view.unreachable !== undefined && view.id !== id);
  const isRemoved = unit.machine !== undefined && machines.every((view) => view.id !== unit.machine);
  const places = [
    ...unreachable.map((view) => ({ id: view.id, name: view.machine.name })),
    ...(isRemoved ? [{ id: unit.machine, name: unit.machine }] : []),
  ];
  const [longest] = places
    .map((place) => ({ ...place, until: heldUntil(unit, place.id, leases) }))
    .filter(({ until }) => now < until)
    .toSorted((a, b) => b.until - a.until);
  if (longest === undefined) return undefined;
  const forMs = longest.until - now;
  return { code: 'lease-may-hold', machine: longest.name, forMs: Number.isFinite(forMs) ? forMs : undefined };
}

/** The time from which no process of a fenced unit can run on an unreachable machine; Infinity if unknown. */
export function heldUntil(
  { placement }: DesiredUnit,
  id: MachineId | undefined,
  leases: LeaseEnds | undefined,
): number {
  if (leases === undefined) return Number.POSITIVE_INFINITY;
  const end = leases.ofMachines.get(id ?? '') ?? leases.ofOthers;
  return end + byOurClock((placement.fence?.stopMs ?? 0) + MARGIN_MS);
}

/** The longest duration, by our clock, of `ms` on the clock of a machine. */
function byOurClock(ms: number): number {
  return ms * (1 + CLOCK_DRIFT);
}
