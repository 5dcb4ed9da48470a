import type { SystemdDriver } from './driver.ts';

/** A driver that looks at machines and changes none: every change is reported as if it had gone well. */
export function previewDriver(driver: SystemdDriver): SystemdDriver {
  return {
    connect(machine) {
      return {
        ...driver.connect(machine),
        change: async (changes) =>
          changes.map(({ unit, obstacle }) => ({
            unit,
            machine: machine.name,
            state: undefined,
            failure: obstacle,
          })),
      };
    },
    journal: (machine, request) => driver.journal(machine, request),
    close: () => driver.close(),
  };
}
