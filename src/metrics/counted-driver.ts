import { isFleetError } from '../base/errors.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import { observedBy } from '../systemd/observation.ts';

/**
 * The same driver; it calls `count` for every session when its first answer arrives, and with the code of the error for
 * every session that could not begin or was interrupted.
 */
export function countedDriver(driver: SystemdDriver, count: (failure?: string) => void): SystemdDriver {
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      count(isFleetError(error) ? error.code : 'unknown');
      throw error;
    }
  };
  return {
    connect(machine) {
      const session = driver.connect(machine);
      let hasBegun: boolean = false;
      const begun = <T>(answer: T): T => {
        if (!hasBegun) count();
        hasBegun = true;
        return answer;
      };
      return {
        ...observedBy(session, async (query) => begun(await counted(() => session.ask(query)))),
        change: async (...given) => begun(await session.change(...given)),
      };
    },
    journal: (machine, request) => counted(() => driver.journal(machine, request)),
    close: () => driver.close(),
  };
}
