import { isFleetError } from '../base/errors.ts';
import type { SystemdDriver } from '../systemd/driver.ts';

/** The same driver; `note` is told of every session that begins, and with the code of the error of one that cannot. */
export function countedDriver(driver: SystemdDriver, note: (failure?: string) => void): SystemdDriver {
  return {
    async connect(machine) {
      try {
        const session = await driver.connect(machine);
        note();
        return session;
      } catch (error) {
        note(isFleetError(error) ? error.code : 'unknown');
        throw error;
      }
    },
    journal: (machine, request) => driver.journal(machine, request),
    close: () => driver.close(),
  };
}
