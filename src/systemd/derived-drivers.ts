import type { MachineSession, SystemdDriver } from './driver.ts';

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

/**
 * A driver for those who look again and again: one session a machine, used for as long as it answers. One that was
 * lost meanwhile is made anew at once, so that a connection that broke is not taken for a machine that is silent.
 * After `close` nothing but plain errors come back: what is still under way then says nothing about machines. The
 * driver beneath stays as it is.
 */
export function renewSessions(driver: SystemdDriver): SystemdDriver {
  const open = new Map<string, MachineSession>();
  let isOver = false;
  /** The answer of `work`, or its error, after which the session is not used again. */
  async function attempt<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      open.get(name)?.close();
      open.delete(name);
      throw isOver ? new Error('Nobody looks any more', { cause: error }) : error;
    }
  }
  return {
    connect(machine) {
      const { name } = machine;
      const begin = (): MachineSession => {
        const session = driver.connect(machine);
        if (isOver) session.close();
        else open.set(name, session);
        return session;
      };
      const kept = open.get(name);
      const session = kept ?? begin();
      return {
        ...session,
        ask: (query) => {
          const answer = attempt(name, () => session.ask(query));
          if (kept === undefined) return answer;
          return answer.catch((error: unknown) => {
            if (isOver) throw error;
            return attempt(name, () => begin().ask(query));
          });
        },
        close: () => undefined,
      };
    },
    journal: (machine, request) => driver.journal(machine, request),
    async close() {
      isOver = true;
      for (const session of open.values()) session.close();
      open.clear();
    },
  };
}
