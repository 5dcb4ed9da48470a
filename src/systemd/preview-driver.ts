import type { MachineSession, SystemdDriver } from './driver.ts';

/** A driver that looks at machines and changes none: every change is reported as if it had gone well. */
export function previewDriver(driver: SystemdDriver): SystemdDriver {
  return {
    async connect(machine): Promise<MachineSession> {
      const session = await driver.connect(machine);
      return {
        observe: (request) => session.observe(request),
        change: async (changes) =>
          changes.map(({ unit, obstacle }) => ({
            unit,
            machine: machine.name,
            state: undefined,
            failure: obstacle,
          })),
        status: (units, lines) => session.status(units, lines),
        verify: (request) => session.verify(request),
        ended: session.ended,
        extend: async () => false,
        examine: () => session.examine(),
        close: () => session.close(),
      };
    },
    journal: (machine, request) => driver.journal(machine, request),
    close: () => driver.close(),
  };
}
