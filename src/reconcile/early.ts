import { isFleetError } from '../base/errors.ts';
import type { Observation } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { MachineSession, SystemdDriver } from '../systemd/driver.ts';
import { type ObserveRequest, observedBy, observeQuery } from '../systemd/observation.ts';

/** An observation that was made before it was needed, and its session. */
export type EarlyObservation = {
  /** The registry may have another address for it. */
  readonly machine: Machine;
  readonly session: MachineSession;
  readonly request: ObserveRequest;
  readonly observation: Promise<Observation>;
};

/**
 * A driver that observes these machines now, while the registry is read. The first session with a machine has the answer.
 * `close` ends the sessions that were not asked for; `driver` stays open.
 */
export function observedEarly(
  driver: SystemdDriver,
  machines: readonly Machine[],
  request: ObserveRequest,
): SystemdDriver {
  const early = new Map<string, EarlyObservation>();
  for (const machine of machines) {
    const begun = beginObservation(driver, machine, request);
    if (begun !== undefined) early.set(machine.name, begun);
  }
  return {
    connect(machine) {
      const found = early.get(machine.name);
      if (found === undefined || found.machine.address !== machine.address) return driver.connect(machine);
      early.delete(machine.name);
      return withEarly(found);
    },
    journal: (machine, wanted) => driver.journal(machine, wanted),
    async close() {
      for (const { session } of early.values()) session.close();
    },
  };
}

/** Undefined for a machine that the driver cannot ask, which is reported when its session is needed. */
function beginObservation(
  driver: SystemdDriver,
  machine: Machine,
  request: ObserveRequest,
): EarlyObservation | undefined {
  try {
    const session = driver.connect(machine);
    const observation = session.ask(observeQuery(request));
    // The session that returns it handles the error.
    observation.catch(() => undefined);
    return { machine, session, request, observation };
  } catch (error) {
    if (isFleetError(error)) return undefined;
    throw error;
  }
}

/** A session whose first observation is the early one, if that has everything that is asked for. */
export function withEarly({ session, request, observation }: EarlyObservation): MachineSession {
  let unused: Promise<Observation> | undefined = observation;
  return observedBy(session, (query) => {
    const known = covers(request, query.request) ? unused : undefined;
    unused = undefined;
    return known ?? session.ask(query);
  });
}

/** Whether the answer to `given` also answers the other request. */
export function covers(given: ObserveRequest, { names, digests, backup, vitals }: ObserveRequest): boolean {
  const known = new Set(given.names);
  const isComplete = names.every((name) => known.has(name));
  return !backup && (given.vitals || !vitals) && (given.digests || !digests) && isComplete;
}
