import type { EventEmitter } from 'node:events';

/** Replaces the listeners of an event by `listener`; returns a function that restores them. */
export function takeOver<A extends readonly unknown[]>(
  emitter: EventEmitter,
  event: string,
  listener: (...details: A) => void,
): () => void {
  const others = emitter.rawListeners(event) as ((...details: A) => void)[];
  // Never without a listener in between: a signal would end the process.
  emitter.on(event, listener);
  for (const other of others) emitter.off(event, other);
  return () => {
    for (const other of others) emitter.on(event, other);
    emitter.off(event, listener);
  };
}
