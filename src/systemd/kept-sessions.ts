import type { MachineSession, SystemdDriver } from './driver.ts';

/**
 * A driver whose sessions outlive their users, so that two passes over a machine need one exec. `close` ends them
 * and leaves the driver beneath as it is.
 */
export function keepSessions(driver: SystemdDriver): SystemdDriver {
  const open = new Map<string, Promise<MachineSession>>();
  return {
    async connect(machine) {
      const kept = open.get(machine.name) ?? driver.connect(machine);
      open.set(machine.name, kept);
      return { ...(await kept), close: () => undefined };
    },
    journal: (machine, request) => driver.journal(machine, request),
    async close() {
      const ended = await Promise.allSettled(open.values());
      for (const each of ended) if (each.status === 'fulfilled') each.value.close();
    },
  };
}
