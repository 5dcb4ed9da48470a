import type { MachineSession, SystemdDriver } from './driver.ts';

/**
 * A driver whose sessions outlive their users, so that two passes over a machine need one exec. `close` ends them
 * and leaves the driver beneath as it is.
 */
export function keepSessions(driver: SystemdDriver): SystemdDriver {
  const open = new Map<string, MachineSession>();
  return {
    connect(machine) {
      const session = open.get(machine.name) ?? driver.connect(machine);
      open.set(machine.name, session);
      return { ...session, close: () => undefined };
    },
    journal: (machine, request) => driver.journal(machine, request),
    async close() {
      for (const session of open.values()) session.close();
    },
  };
}
