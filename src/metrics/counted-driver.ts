import { isFleetError } from '../base/errors.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import { observedBy } from '../systemd/observation.ts';

/**
 * The same driver; `note` is called for every session that begins, which its first answer shows, and with the code of the
 * error of everyone that could not begin or broke off.
 */
export function countedDriver(driver: SystemdDriver, note: (failure?: string) => void): SystemdDriver {
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      note(isFleetError(error) ? error.code : 'unknown');
      throw error;
    }
  };
  return {
    connect(machine) {
      const session = driver.connect(machine);
      let hasBegun: boolean = false;
      const begun = <T>(answer: T): T => {
        if (!hasBegun) note();
        hasBegun = true;
        return answer;
      };
      return {
        ...observedBy(session, async (query) => begun(await counted(() => session.ask(query)))),
        change: async (changes, cluster) => begun(await session.change(changes, cluster)),
      };
    },
    journal: (machine, request) => counted(() => driver.journal(machine, request)),
    close: () => driver.close(),
  };
}
