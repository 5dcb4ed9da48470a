import { setImmediate } from 'node:timers/promises';
import type { RegistryView } from './view.ts';

/** How many units are read at once: a millisecond, so that connections that are being made do not wait. */
const PIECE = 32;

/** Reads all units of a view, while the caller waits for machines. */
export async function readAhead({ unitNames, units }: RegistryView): Promise<void> {
  for (const [index, name] of unitNames.entries()) {
    if (index % PIECE === 0) await setImmediate();
    // The view parses the unit now and keeps it, so the result is not needed here.
    units.get(name);
  }
}
