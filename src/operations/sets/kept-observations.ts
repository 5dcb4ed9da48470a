import type { Observation } from '../../cluster/snapshot.ts';
import { covers } from '../../reconcile/early.ts';
import { keepSessions, type SystemdDriver } from '../../systemd/driver.ts';
import { type ObserveRequest, observedBy } from '../../systemd/observation.ts';

/** A driver that answers a repeated observation with the first one, until the machine is changed. */
export type KeptObservations = SystemdDriver & { readonly forget: () => void };

/**
 * A driver for a plan and the pass that executes it, over one session with each machine. The pass gets the observation that
 * the plan was made from, so it takes exactly the planned steps. `close` ends the sessions and leaves `driver` open.
 */
export function keepObservations(driver: SystemdDriver): KeptObservations {
  const kept = keepSessions(driver);
  const answers = new Map<
    string,
    { readonly request: ObserveRequest; readonly answer: Promise<Observation> }
  >();
  return {
    ...kept,
    connect(machine) {
      const session = kept.connect(machine);
      const observed = observedBy(session, (query) => {
        const known = answers.get(machine.name);
        if (known !== undefined && covers(known.request, query.request)) return known.answer;
        const answer = session.ask(query);
        answers.set(machine.name, { request: query.request, answer });
        return answer;
      });
      return {
        ...observed,
        change(...words) {
          answers.delete(machine.name);
          return session.change(...words);
        },
      };
    },
    forget: () => answers.clear(),
  };
}
