import { CLOCK_DRIFT } from '../base/time.ts';
import type { MachineId } from '../machine/machine.ts';
import type { FenceReason } from './reason.ts';
import type { ClusterSnapshot, DesiredUnit, Lease, LeaseEnds, MachineView, Observation } from './snapshot.ts';

/** From the deadline of a lease until systemd gets the stop of its units, in ms. */
const MARGIN_MS = 1000;

/**
 * The lease that a machine may have on the strength of an answer: it lasts `ttlMs` from the moment of that answer, by
 * the clock that the machine told with it. However long it is on its way, it ends then.
 */
export function leaseFor({ bootId, uptimeSeconds }: Observation, ttlMs: number): Lease {
  return { bootId, deadline: uptimeSeconds + ttlMs / 1000 };
}

/**
 * When a lease from {@link leaseFor} is over at the latest, by the clock of the process that got the answer at `answeredAt`; that
 * clock may run faster than the machine's by {@link CLOCK_DRIFT}.
 */
export function leaseEnd(answeredAt: number, ttlMs: number): number {
  return answeredAt + byOurClock(ttlMs);
}

/** The lease that a machine had when it answered; undefined when it had none, or it was over. */
export function leaseOf({ observation }: MachineView): Lease | undefined {
  const lease = observation?.lease;
  return lease !== undefined && lease.deadline > (observation?.uptimeSeconds ?? 0) ? lease : undefined;
}

/** What speaks against starting a fenced unit on `machine`: it has no lease, or another machine may run the unit. */
export function fenceViolation(
  unit: DesiredUnit,
  machine: MachineView,
  snapshot: ClusterSnapshot,
): FenceReason | undefined {
  if (unit.placement.fence === undefined) return undefined;
  const held = heldElsewhere(unit, machine, snapshot);
  if (held !== undefined) return held;
  return machine.observation !== undefined && leaseOf(machine) === undefined
    ? { code: 'no-lease' }
    : undefined;
}

/** The unreachable machine under whose lease the unit may run longest: it may have been there before it came to its own. */
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

/** What the clock of a machine counts as `ms` lasts no longer than this by ours. */
function byOurClock(ms: number): number {
  return ms * (1 + CLOCK_DRIFT);
}
