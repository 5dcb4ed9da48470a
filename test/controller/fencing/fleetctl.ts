import { leaseOf } from '../../../src/cluster/lease.ts';
import type { TargetState } from '../../../src/cluster/unit-state.ts';
import type { SimCluster } from './cluster.ts';
import { SimPass } from './pass.ts';
import { SimProcess } from './process.ts';

export const VERBS = ['start', 'load', 'stop', 'unload', 'destroy', 'reconcile'] as const;

/** A command of an operator. */
export type Verb = (typeof VERBS)[number];

const TARGETS: Readonly<Record<Verb, TargetState | undefined>> = {
  start: 'launched',
  load: 'loaded',
  stop: 'loaded',
  unload: 'inactive',
  destroy: 'inactive',
  reconcile: undefined,
};

/** How long a start waits for a lease, in ms. */
const LEASE_WAIT_MS = 4000;

/** Runs a fleetctl: it changes the target state, makes one pass, and ends. It never leads and knows no leases. */
export function fleetctl(cluster: SimCluster, verb: Verb): SimProcess {
  const process = new SimProcess('fleetctl', cluster);
  const { registry } = cluster;
  const pass = new SimPass({
    process,
    leases: () => undefined,
    known: () => undefined,
    unreachable: ({ name, id }) => ({
      machine: registry.machine(name),
      id,
      observation: undefined,
      // By the registry it may have been unreachable for any time.
      unreachable: { since: 0, code: 'ssh-timeout', message: '', hint: undefined },
      backSince: undefined,
    }),
  });
  const run = (): void =>
    pass.run((went) => {
      if (verb === 'destroy' && went && registry.units[0]?.target === 'inactive') registry.remove();
    });
  const awaitLease = (end: number): void =>
    pass.look((views) => {
      const hasLease = [...views.values()].some((view) => leaseOf(view) !== undefined);
      if (hasLease || process.now >= end) run();
      else process.in(1000, () => awaitLease(end));
    });
  process.in(0, () => {
    const target = TARGETS[verb];
    const isThere = registry.units.length > 0;
    const brings = verb === 'start' || verb === 'load';
    if (!isThere && !brings) return;
    if (target !== undefined) registry.put({ target });
    if (brings) awaitLease(process.now + LEASE_WAIT_MS);
    else run();
  });
  return process;
}
