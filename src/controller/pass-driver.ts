import type { Clock } from '../base/clock.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { unreachable } from '../cluster/silence.ts';
import type { Machine } from '../machine/machine.ts';
import type { MachineSession, SystemdDriver } from '../systemd/driver.ts';
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
export function passDriver(options: PassDriverOptions): SystemdDriver {
  const { driver, watches, fresh } = options;
  return {
    async connect(machine) {
      const watch = watches.get(machine.name);
      if (watch === undefined)
        throw new FleetError('machine-not-found', `No such machine: "${machine.name}"`);
      if (watch.silence !== undefined) throw watch.silence;
      return fresh.has(machine.name) ? askAnew(machine, watch, options) : lazySession(machine, watch, driver);
    },
    journal: (machine, request) => driver.journal(machine, request),
    close: async () => undefined,
  };
}

async function askAnew(
  machine: Machine,
  watch: MachineWatch,
  { driver, clock, deadlineMs }: PassDriverOptions,
): Promise<MachineSession> {
  const asked = clock.now();
  const bounded = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await within(deadlineMs, machine, work);
    } catch (error) {
      if (isFleetError(error)) watch.failed(asked, error);
      throw error;
    }
  };
  const connecting = driver.connect(machine);
  connecting.catch(() => undefined);
  const session = await bounded(connecting);
  return observedBy(session, ({ request }) =>
    bounded(session.ask(observeQuery({ ...request, token: true }))),
  );
}

/** A session that is opened when something has to be done on the machine. */
function lazySession(machine: Machine, watch: MachineWatch, driver: SystemdDriver): MachineSession {
  let opened: Promise<MachineSession> | undefined;
  const open = (): Promise<MachineSession> => {
    opened ??= driver.connect(machine);
    return opened;
  };
  const lazy: MachineSession = {
    ask: async (query) => (await open()).ask(query),
    async change(changes, clusterId) {
      try {
        return await (await open()).change(changes, clusterId);
      } catch (error) {
        if (!isFleetError(error)) throw error;
        const failure = unreachable(error);
        return changes.map(({ unit }) => ({ unit, machine: machine.name, state: undefined, failure }));
      }
    },
    ended: new Promise(() => undefined),
    close: () => {
      opened?.then(
        (session) => session.close(),
        () => undefined,
      );
    },
  };
  return observedBy(lazy, async () => {
    const observation = watch.view?.observation;
    if (observation === undefined)
      throw watch.silence ?? new FleetError('ssh-lost', `Lost machine "${machine.name}"`);
    return observation;
  });
}
