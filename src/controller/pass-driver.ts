import { FleetError, isFleetError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { Observation } from '../cluster/snapshot.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import { observedBy, observeQuery } from '../systemd/observation.ts';
import { within } from './deadline.ts';
import type { MachineWatch } from './machine-watch.ts';

export type PassDriverOptions = {
  readonly driver: SystemdDriver;
  readonly clock: Clock;
  /** By the machine's name. */
  readonly watches: ReadonlyMap<string, MachineWatch>;
  /** Names of the machines to ask anew; of the others, what their watches have seen is good enough. */
  readonly fresh: ReadonlySet<string>;
  readonly deadlineMs: number;
};

/**
 * The driver of one pass of a controller, which knows already who is silent: such a machine is told at once and not
 * waited for, and one that gives no answer in time is silent from then on.
 */
export function passDriver({ driver, clock, watches, fresh, deadlineMs }: PassDriverOptions): SystemdDriver {
  return {
    connect(machine) {
      const watch = watches.get(machine.name);
      if (watch === undefined)
        throw new FleetError('machine-not-found', `No such machine: "${machine.name}"`);
      if (watch.unreachable !== undefined) throw watch.unreachable;
      const session = driver.connect(machine);
      return observedBy(session, async ({ request }) => {
        if (!fresh.has(machine.name)) return lastSeen(watch);
        const asked = clock.now();
        try {
          const query = observeQuery({ ...request, token: true });
          return await within(deadlineMs, machine, session.ask(query));
        } catch (error) {
          if (isFleetError(error)) watch.failed(asked, error);
          throw error;
        }
      });
    },
    journal: (machine, request) => driver.journal(machine, request),
    close: async () => undefined,
  };
}

function lastSeen({ view, unreachable, machine }: MachineWatch): Observation {
  if (view?.observation !== undefined) return view.observation;
  throw unreachable ?? new FleetError('ssh-lost', `Lost machine "${machine.name}"`);
}
