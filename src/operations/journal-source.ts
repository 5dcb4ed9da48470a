import { compareText } from '../base/text.ts';
import { keepTo } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import {
  type JournalEntry,
  type JournalStream,
  type MachineClock,
  parseEntry,
  unitOfEntry,
} from '../systemd/journal.ts';
import type { MachineRef } from './machine-ref.ts';

/** A machine and the units of it whose journal is read. */
export type JournalSource = {
  readonly machine: Machine;
  readonly ref: MachineRef;
  readonly units: readonly string[];
};

/** An entry, the line of JSON it came as, and where it comes from. */
export type PlacedEntry = JournalEntry & {
  readonly json: string;
  readonly unit: string;
  readonly machine: MachineRef;
  readonly clock: MachineClock;
};

/**
 * Calls `listener` with the entries of a stream of JSON as they come; half a line waits for its other half. A line that is
 * too long ends the stream.
 */
export function onEntries(
  { ref, units }: JournalSource,
  stream: JournalStream,
  listener: (entries: readonly PlacedEntry[]) => void,
): void {
  let rest: string[] = [];
  let length = 0;
  stream.onText((text) => {
    rest.push(text);
    length += text.length;
    if (!text.includes('\n')) return keepTo('entry', length);
    const lines = rest.join('').split('\n');
    rest = [lines.pop() ?? ''];
    length = rest[0]?.length ?? 0;
    for (const line of [...lines, ...rest]) keepTo('entry', line.length);
    const entries = lines.flatMap((json): readonly PlacedEntry[] => {
      const entry = parseEntry(json);
      if (entry === undefined) return [];
      return [{ ...entry, json, unit: unitOfEntry(entry, units), machine: ref, clock: stream.clock }];
    });
    if (entries.length > 0) listener(entries);
  });
}

/** Waits for the end of a stream, or ends it when `signal` says so. Rejects as the stream does. */
export async function untilEnd(stream: JournalStream, signal: AbortSignal): Promise<void> {
  const stop = (): void => void stream.close();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    await stream.ended;
  } finally {
    signal.removeEventListener('abort', stop);
    await stream.close();
  }
}

/** By time, and where that is the same by machine. */
export function inOrder(entries: readonly PlacedEntry[]): readonly PlacedEntry[] {
  return entries.toSorted((a, b) => a.time - b.time || compareText(a.machine.name, b.machine.name));
}
