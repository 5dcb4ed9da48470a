import type { EventEmitter } from 'node:events';
import { EXIT } from './exit-status.ts';

/** Replaces the listeners of an event by `listener`; returns a function that restores them. */
export function takeOver<A extends readonly unknown[]>(
  emitter: EventEmitter,
  event: string,
  listener: (...details: A) => void,
): () => void {
  const others = emitter.rawListeners(event) as ((...details: A) => void)[];
  // There is always a listener, because a signal without one ends the process.
  emitter.on(event, listener);
  for (const other of others) emitter.off(event, other);
  return () => {
    for (const other of others) emitter.on(event, other);
    emitter.off(event, listener);
  };
}

/** Runs work that Ctrl-C ends in order; its result and its errors do not count then. */
export async function untilInterrupted(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const interrupt = new AbortController();
  const restore = takeOver(process, 'SIGINT', () => interrupt.abort());
  try {
    const status = await work(interrupt.signal);
    return interrupt.signal.aborted ? EXIT.interrupted : status;
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted;
    throw error;
  } finally {
    restore();
  }
}

/** Resolves when the signal is raised. */
export function raised(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** The signals of a daemon. */
export type Signals = {
  /** Raised by SIGTERM and SIGINT; a second one ends the process at once. */
  readonly ended: AbortSignal;
  /** An abort signal that is raised when the daemon must reload (SIGHUP) or end. */
  nextRound(): AbortSignal;
  /** Restores the default actions of signals. */
  release(): void;
};

/** Listens to signals; SIGHUP reloads only if `mayReload` resolves with true. */
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
