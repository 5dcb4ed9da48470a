/** The machines that reads and changes of a registry wait for. */
export type VoterWaits = {
  /** Runs a read or a change of the registry. */
  during<T>(call: () => Promise<T>): Promise<T>;
  /** Runs a request of it to a machine. */
  asking<T>(machine: string, request: () => Promise<T>): Promise<T>;
};

/** Calls `tell` with the machines that are waited for, each time they change; with none once a majority has answered. */
export function voterWaits(tell: (machines: readonly string[]) => void): VoterWaits {
  const asked: string[] = [];
  let calls = 0;
  const update = (): void => tell(calls === 0 ? [] : [...new Set(asked)]);
  return {
    async during(call) {
      calls++;
      try {
        return await call();
      } finally {
        calls--;
        update();
      }
    },
    async asking(machine, request) {
      asked.push(machine);
      update();
      try {
        return await request();
      } finally {
        asked.splice(asked.indexOf(machine), 1);
        update();
      }
    },
  };
}
