import { expect, it } from 'vitest';
import { leaseEnd } from '../../src/cluster/lease.ts';
import { Leases } from '../../src/controller/leases.ts';
import { unusable } from '../../src/reconcile/trust.ts';
import { cluster, idOf, NOW, TTL_MS } from '../support/builders.ts';

it('a machine that is no longer trusted gets no lease, and its last one ends', () => {
  const clock = { time: NOW, now: () => clock.time };
  const leases = new Leases({ clock, agentTtlMs: TTL_MS, leads: () => true });
  const [view] = cluster().machine('m1').snapshot().machines;
  if (view?.observation === undefined) throw new Error('m1 does not answer');
  expect(leases.leads).toBe(true);
  leases.admit([view]);
  expect(leases.grant(view.observation, false)).toBeDefined();
  leases.dismiss([unusable(view, { message: '', hint: '' }, NOW)]);
  clock.time += 1_000;
  expect(leases.grant(view.observation, false)).toBeUndefined();
  expect(leases.ends?.ofMachines.get(idOf('m1'))).toBe(leaseEnd(NOW, TTL_MS));
});
