import { setTimeout as wait } from 'node:timers/promises';
import { FleetError, isFleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import { keepTo } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import {
  type JournalEntry,
  type JournalStream,
  type MachineClock,
  parseEntry,
  unitOfEntry,
} from '../systemd/journal.ts';
import type { MachineRef } from './listing.ts';

/** How long entries are held back so that those of several machines can be sorted, in ms. */
const GATHER_MS = 150;
/** The pause before the next attempt after a lost connection, in ms. */
const RETRY_MS = 1000;

/** The position at which the journal of a machine is followed. */
export type FollowStart = {
  readonly source: JournalSource;
  /** The cursor of the last entry that was read; undefined if there was none. */
  readonly after: string | undefined;
  /** The machine's clock at that time, in epoch seconds. */
  readonly since: number;
};

/** The callbacks of {@link followJournals}. */
export type FollowListener = {
  entries(entries: readonly PlacedEntry[]): void;
  /** The connection to a machine was lost; it is retried until it succeeds. */
  lost(machine: MachineRef, error: FleetError): void;
  /** The machine is connected again, without missing entries. */
  back(machine: MachineRef): void;
};

/** Follows journals until `signal` aborts, across lost connections. */
export async function followJournals(
  driver: Pick<SystemdDriver, 'journal'>,
  starts: readonly FollowStart[],
  { sudo, merged }: { readonly sudo: boolean; readonly merged: boolean },
  listener: FollowListener,
  signal: AbortSignal,
): Promise<void> {
  const gathered = merged ? gather(listener) : { listener, flush: () => undefined };
  await Promise.all(starts.map((start) => follow(driver, start, sudo, gathered.listener, signal)));
  gathered.flush();
}

async function follow(
  driver: Pick<SystemdDriver, 'journal'>,
  { source, after, since }: FollowStart,
  sudo: boolean,
  listener: FollowListener,
  signal: AbortSignal,
): Promise<void> {
  let cursor = after;
  let isLost = false;
  while (!signal.aborted) {
    try {
      const stream = await driver.journal(source.machine, {
        units: source.units,
        output: 'json',
        lines: undefined,
        since: cursor === undefined ? `@${since}` : undefined,
        until: undefined,
        after: cursor,
        follow: true,
        sudo,
      });
      if (isLost && !signal.aborted) listener.back(source.ref);
      isLost = false;
      onEntries(source, stream, (entries) => {
        cursor = entries.at(-1)?.cursor ?? cursor;
        listener.entries(entries);
      });
      await untilEnd(stream, signal);
      throw new FleetError('remote-script', `journalctl ended on machine "${source.ref.name}"`);
    } catch (error) {
      if (!isFleetError(error)) throw error;
      if (signal.aborted) return;
      if (!isLost) listener.lost(source.ref, error);
      isLost = true;
      await wait(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Holds entries back for {@link GATHER_MS}, so that simultaneous entries of several machines are sorted. */
function gather(listener: FollowListener): { readonly listener: FollowListener; flush(): void } {
  let held: readonly PlacedEntry[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const entries = inOrder(held);
    held = [];
    if (entries.length > 0) listener.entries(entries);
  };
  return {
    flush,
    listener: {
      ...listener,
      entries: (entries) => {
        held = [...held, ...entries];
        timer ??= setTimeout(flush, GATHER_MS);
      },
    },
  };
}

/** A machine, and its units whose journal is read. */
export type JournalSource = {
  readonly machine: Machine;
  readonly ref: MachineRef;
  readonly units: readonly string[];
};

/** An entry, its line of JSON, and its origin. */
export type PlacedEntry = JournalEntry & {
  readonly json: string;
  readonly unit: string;
  readonly machine: MachineRef;
  readonly clock: MachineClock;
};

/**
 * Calls `listener` with the entries of a stream of JSON lines as they arrive. An incomplete line waits for its rest. A line
 * that is too long ends the stream.
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

/** Waits for the end of a stream, or ends it when `signal` aborts. Rejects with the error of the stream. */
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

/** Sorts entries by time, and then by machine. */
export function inOrder(entries: readonly PlacedEntry[]): readonly PlacedEntry[] {
  return entries.toSorted((a, b) => a.time - b.time || compareText(a.machine.name, b.machine.name));
}
