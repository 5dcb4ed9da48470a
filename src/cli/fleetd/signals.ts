/** The requests of signals to a daemon. */
export type Signals = {
  /** Raised by SIGTERM and SIGINT; a second one ends the process at once. */
  readonly ended: AbortSignal;
  /** A signal that is raised when it is time to reload (SIGHUP), or to end. */
  nextRound(): AbortSignal;
  /** Leaves signals to the defaults again. */
  release(): void;
};

/** Listens to signals; SIGHUP reloads when `mayReload` says so. */
export function handleSignals(mayReload: () => Promise<boolean>): Signals {
  const ended = new AbortController();
  let round = new AbortController();
  const end = (): void => {
    if (ended.signal.aborted) process.exit(1);
    ended.abort();
  };
  const reload = (): void => {
    void mayReload().then((may) => may && round.abort());
  };
  process.on('SIGTERM', end).on('SIGINT', end).on('SIGHUP', reload);
  return {
    ended: ended.signal,
    nextRound() {
      round = new AbortController();
      return AbortSignal.any([ended.signal, round.signal]);
    },
    release: () => void process.off('SIGTERM', end).off('SIGINT', end).off('SIGHUP', reload),
  };
}
