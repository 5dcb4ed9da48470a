import { describe, expect, it } from 'vitest';
import { leaseEnd } from '../../src/cluster/lease.ts';
import type { MachineView, Observation } from '../../src/cluster/snapshot.ts';
import { Leases } from '../../src/controller/leases.ts';
import { unusable } from '../../src/reconcile/trust.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import { cluster, desiredUnit, idOf, NOW, TTL_MS } from '../support/builders.ts';

/** A controller that leads, and grants leases to m1. */
function leader(formerTtlMs = TTL_MS) {
  const clock = { time: NOW, now: () => clock.time };
  const leases = new Leases({ clock, agentTtlMs: TTL_MS, formerTtlMs, leads: () => true });
  const [view] = cluster().machine('m1').snapshot().machines;
  if (view?.observation === undefined) throw new Error('m1 does not answer');
  const { observation } = view;
  expect(leases.leads).toBe(true);
  return { clock, leases, view, observation };
}

/** An answer of m1 with a lease that has `leftMs` left. */
function leased(observation: Observation, leftMs: number): Observation {
  const { uptimeSeconds, bootId } = observation;
  return { ...observation, lease: { bootId, deadline: uptimeSeconds + leftMs / 1000 } };
}

function distrust(leases: Leases, view: MachineView): void {
  leases.dismiss([unusable(view, { message: '', hint: '' }, NOW)]);
}

it('a machine that is no longer trusted gets no lease, and its last one ends', () => {
  const { clock, leases, view, observation } = leader();
  leases.admit([view]);
  const answer = { observation, askedAt: NOW, wasUnreachable: false };
  expect(leases.grant(answer)).toBeDefined();
  distrust(leases, view);
  clock.time += 1_000;
  expect(leases.grant(answer)).toBeUndefined();
  expect(leases.grant({ ...answer, observation: leased(observation, TTL_MS) })).toBeUndefined();
  expect(leases.ends?.ofMachines.get(idOf('m1'))).toBe(leaseEnd(NOW, TTL_MS));
});

describe('a machine that was unreachable', () => {
  it('keeps a lease that has not ended', () => {
    const { clock, leases, view, observation } = leader();
    leases.admit([view]);
    leases.grant({ observation, askedAt: NOW, wasUnreachable: false });
    clock.time += TTL_MS - 1;
    const answer = { observation: leased(observation, 1), askedAt: clock.time, wasUnreachable: true };
    expect(leases.grant(answer)).toBeDefined();
    expect(leases.ends?.ofMachines.get(idOf('m1'))).toBe(leaseEnd(clock.time, TTL_MS));
  });

  it('gets none when its lease has ended, by its clock or by that of the controller', () => {
    const { clock, leases, view, observation } = leader();
    leases.admit([view]);
    leases.grant({ observation, askedAt: NOW, wasUnreachable: false });
    const answer = { observation: leased(observation, 0), askedAt: NOW, wasUnreachable: true };
    expect(leases.grant(answer)).toBeUndefined();
    // Its clock may have been paused with it, or its answer was under way for long.
    clock.time = leaseEnd(NOW, TTL_MS);
    expect(leases.grant({ ...answer, observation: leased(observation, 1) })).toBeUndefined();
  });
});

it('a new leader extends the leases of its predecessor for answers to queries that it sent as the leader', () => {
  const { leases, observation } = leader();
  const answer = { observation: leased(observation, 1), askedAt: NOW - 1, wasUnreachable: false };
  expect(leases.grant(answer)).toBeUndefined();
  expect(leases.grant({ ...answer, askedAt: NOW })).toBeDefined();
});

it('leases end when no fenced unit is wanted, and those that are left continue when one is wanted again', () => {
  const { leases, view, observation } = leader();
  const registry = (target: 'inactive' | 'launched'): RegistryView =>
    ({
      units: new Map([['a.service', desiredUnit('a.service', 'Fenced=true', { target })]]),
    }) as unknown as RegistryView;
  leases.admit([view]);
  expect(leases.want(registry('launched'))).toBe(false);
  const answer = { observation: leased(observation, 1), askedAt: NOW, wasUnreachable: false };
  expect(leases.grant(answer)).toBeDefined();
  expect(leases.want(registry('inactive'))).toBe(false);
  expect(leases.grant(answer)).toBeUndefined();
  expect(leases.want(registry('launched'))).toBe(true);
  expect(leases.grant({ ...answer, observation })).toBeUndefined();
  expect(leases.grant(answer)).toBeDefined();
});

it('leases of a longer agent_ttl end by that, also on machines that have answered since', () => {
  const { clock, leases, view, observation } = leader(4 * TTL_MS);
  leases.admit([view]);
  clock.time += TTL_MS;
  expect(leases.grant({ observation, askedAt: clock.time, wasUnreachable: false })).toBeDefined();
  const former = leaseEnd(NOW, 4 * TTL_MS);
  expect(leases.ends).toEqual({ ofMachines: new Map([[idOf('m1'), former]]), ofOthers: former });
  clock.time += 4 * TTL_MS;
  leases.grant({ observation, askedAt: clock.time, wasUnreachable: false });
  expect(leases.ends?.ofMachines.get(idOf('m1'))).toBe(leaseEnd(clock.time, TTL_MS));
});
