import type { UnitOutcome } from '../cluster/failure.ts';
import type { Machine } from '../machine/machine.ts';
import type { UnitChange } from '../plan/step.ts';
import type { Become } from '../ssh/become.ts';
import type { Waits } from './change-jobs.ts';
import type { Section } from './frame.ts';
import type { JournalRequest, JournalStream } from './journal.ts';
import type { MachinePaths } from './script.ts';
import type { Script } from './script-runner.ts';

/** A query to a machine: its script and the reader of its answer. The function that makes it is next to both. */
export type Query<T, Kind extends string = string, Request = unknown> = Script & {
  readonly kind: Kind;
  /** The arguments that the script was made from. */
  readonly request: Request;
  /** Reads the answer. An error that it throws is a failure of this machine. */
  readonly read: (sections: readonly Section[], from: Respondent) => T | Promise<T>;
};

/** The machine that has answered a query. */
export type Respondent = {
  readonly name: string;
  readonly paths: MachinePaths;
  /** For a query that depends on the answer to the last one. */
  readonly ask: MachineSession['ask'];
};

/**
 * A pass on one machine: one SSH exec that reads first and then may change. It is a plain object, so that another
 * session can replace some of its members.
 */
export type MachineSession = {
  /** Rejects with a FleetError when the machine is unreachable or its answer is invalid. */
  readonly ask: <T>(query: Query<T>) => Promise<T>;
  /**
   * Makes the changes on behalf of `clusterId`. Resolves with one outcome per change, in their order: a failure never
   * hides another one, and a lost connection is an outcome too. A change with an unknown outcome may have been made;
   * making it again is harmless. `waits` are those of the driver unless given.
   */
  readonly change: (
    changes: readonly UnitChange[],
    clusterId: string,
    waits?: Waits,
  ) => Promise<readonly UnitOutcome[]>;
  /** How the session gets root's rights; absent if the user is root or logs in with `become = none`. */
  readonly become?: Become;
  /** Resolves when a session that began is over: closed by either side, or lost. */
  readonly ended: Promise<void>;
  /** Ends the session; the connection stays with the transport. */
  readonly close: () => void;
};

/** The access to systemd on machines. */
export interface SystemdDriver {
  /**
   * A session with the machine. It begins with the first query, which rejects when the machine is unreachable. Throws
   * FleetError `machine-not-found`, or the reason if the machine is already known to be unreachable.
   */
  connect(machine: Machine): MachineSession;
  /** Starts to read a journal; rejects with a FleetError when the machine is unreachable. */
  journal(machine: Machine, request: JournalRequest): Promise<JournalStream>;
  /** Closes every connection. */
  close(): Promise<void>;
}

/** How long a change waits for the jobs of systemd. */
export type WaitPolicy = {
  /** False: jobs are queued, and their results are not read. */
  readonly blocks: boolean;
  /**
   * The limit of all waits together, in ms since the driver was made; undefined for two minutes for the stops of a
   * machine and two for its starts.
   */
  readonly timeoutMs: number | undefined;
};

export const DEFAULT_WAIT: WaitPolicy = { blocks: true, timeoutMs: undefined };

/** A driver that reads machines and changes none: every change is reported as successful. */
export function previewDriver(driver: SystemdDriver): SystemdDriver {
  return {
    connect: (machine) => ({
      ...driver.connect(machine),
      change: async (changes) =>
        changes.map(({ unit, obstacle: failure }) => ({
          unit,
          machine: machine.name,
          state: undefined,
          failure,
        })),
    }),
    journal: (machine, request) => driver.journal(machine, request),
    close: () => driver.close(),
  };
}

/**
 * A driver whose sessions outlive their users, so that two passes over a machine need one exec. `close` ends them and
 * leaves `driver` open.
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
 * A driver for repeated observations: one session per machine, used as long as it answers. A session that was lost in
 * the meantime is replaced once, so that a broken connection does not count as an unreachable machine. After `close`
 * every query rejects with a plain Error, which says nothing about the machine; `driver` stays open.
 */
export function renewSessions(driver: SystemdDriver): SystemdDriver {
  const open = new Map<string, MachineSession>();
  let isClosed = false;
  /** Runs `work`; after an error the session is not used again. */
  async function discardAfterError<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      open.get(name)?.close();
      open.delete(name);
      throw isClosed ? new Error('the driver is closed', { cause: error }) : error;
    }
  }
  return {
    connect(machine) {
      const { name } = machine;
      const begin = (): MachineSession => {
        const session = driver.connect(machine);
        if (isClosed) session.close();
        else open.set(name, session);
        return session;
      };
      const kept = open.get(name);
      const session = kept ?? begin();
      return {
        ...session,
        ask: (query) => {
          const answer = discardAfterError(name, () => session.ask(query));
          if (kept === undefined) return answer;
          return answer.catch((error: unknown) => {
            if (isClosed) throw error;
            return discardAfterError(name, () => begin().ask(query));
          });
        },
        close: () => undefined,
      };
    },
    journal: (machine, request) => driver.journal(machine, request),
    async close() {
      isClosed = true;
      for (const session of open.values()) session.close();
      open.clear();
    },
  };
}
