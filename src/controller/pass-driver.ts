import { deferred } from '../base/async.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import type { Observation } from '../cluster/snapshot.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { Waits } from '../systemd/change-jobs.ts';
import type { MachineSession, SystemdDriver } from '../systemd/driver.ts';
import { type ObserveRequest, observedBy, observeQuery } from '../systemd/observation.ts';
import type { MachineWatch } from './machine-watch.ts';
import { within } from './waiting.ts';

type PassDriverOptions = {
  readonly ports: Pick<Ports, 'driver' | 'clock'>;
  readonly watches: ReadonlyMap<string, MachineWatch>;
  /** The limit of an observation, in ms. */
  readonly deadlineMs: number;
};

/**
 * The driver of one pass of a controller. It observes the machines `fresh`, and those that were changed when the pass is
 * repeated after a revert; for others the last observation is used. A machine that is known to be unreachable fails at
 * once, and one that does not answer in time is unreachable from then on. A machine without a watch is observed. It uses
 * the open session of the watch where that one is free. `waits` of the pass replace those of the controller.
 */
export function passDriver(
  { ports, watches, deadlineMs }: PassDriverOptions,
  fresh: ReadonlySet<string>,
  waits?: () => Waits,
): SystemdDriver {
  const { driver, clock } = ports;
  const changed = new Set<string>();
  return {
    connect(machine) {
      const watch = watches.get(machine.name);
      // It was added a moment ago.
      if (watch === undefined) return driver.connect(machine);
      if (watch.unreachable !== undefined) throw watch.unreachable;
      let opened: MachineSession | undefined;
      const session = (): MachineSession => {
        opened ??= watch.lend() ?? driver.connect(machine);
        return opened;
      };
      const observe = async (request: ObserveRequest): Promise<Observation> => {
        if (!fresh.has(machine.name) && !changed.has(machine.name)) return lastObservation(watch);
        const sentAt = clock.now();
        try {
          const query = observeQuery({ ...request, token: true });
          return await within(deadlineMs, machine, session().ask(query));
        } catch (error) {
          if (isFleetError(error)) watch.failed(sentAt, error);
          throw error;
        }
      };
      const lazy: MachineSession = {
        ask: (query) => session().ask(query),
        change(changes, cluster) {
          changed.add(machine.name);
          return session().change(changes, cluster, waits?.());
        },
        // A pass waits for answers only.
        ended: deferred<void>().promise,
        close: () => opened?.close(),
      };
      return observedBy(lazy, ({ request }) => observe(request));
    },
    journal: (machine, request) => driver.journal(machine, request),
    close: async () => undefined,
  };
}

function lastObservation({ view, unreachable, machine }: MachineWatch): Observation {
  if (view?.observation !== undefined) return view.observation;
  throw unreachable ?? new FleetError('ssh-lost', `Lost machine "${machine.name}"`);
}
