import { setTimeout as wait } from 'node:timers/promises';
import { FleetError, isFleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import { keepTo } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import {
  type JournalEntry,
  type JournalRequest,
  type JournalStream,
  type MachineClock,
  parseEntry,
  unitOfEntry,
} from '../systemd/journal.ts';
import { lostMachine, type MachineRef, machineRef, type UnreachableMachine } from './listing.ts';
import { byMachine, type PlacesRequest, withPlaces } from './unit-places.ts';
import type { UnitProblem } from './unit-result.ts';

/** How long entries are held back so that those of several machines can be sorted, in ms. */
const GATHER_MS = 150;
/** The pause before the next attempt after a lost connection, in ms. */
const RETRY_MS = 1000;

/** A machine, and its units whose journal is read. */
type JournalSource = {
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

export type JournalQuestion = PlacesRequest & {
  /** The limit of entries, of all machines together: the last ones; undefined for all. */
  readonly lines: number | undefined;
  /** A format of journalctl, and whether fleetctl supports it for merged entries. */
  readonly output: string;
  readonly canFormat: boolean;
  /** Times as journalctl reads them. */
  readonly since: string | undefined;
  readonly until: string | undefined;
  readonly follow: boolean;
  readonly sudo: boolean;
};

/** The callbacks of {@link readJournals}. */
export type JournalReader = {
  /** The unchanged output of journalctl, for one unit on one machine. */
  text(text: string): void;
  /** Sorted entries; `merged` if they are of several units or machines. */
  entries(entries: readonly PlacedEntry[], merged: boolean): void;
  /** The missing parts of the answer; called before journals are followed. */
  missing(result: JournalResult): void;
  /** The connection to a machine that is followed was lost; it is retried until it succeeds. */
  lost(machine: MachineRef, error: FleetError): void;
  /** The machine is connected again, without missing entries. */
  back(machine: MachineRef): void;
};

export type JournalResult = {
  readonly problems: readonly UnitProblem[];
  readonly unreachable: readonly UnreachableMachine[];
  /** Journals that could not be read on machines that answered. */
  readonly failures: readonly FleetError[];
};

/**
 * Reads the journals of units on all their machines, and with `follow` follows them until `signal` aborts. Throws
 * FleetError `usage` for a format that cannot be used for merged entries.
 */
export async function readJournals(
  ports: Ports,
  question: JournalQuestion,
  reader: JournalReader,
  signal: AbortSignal,
): Promise<JournalResult> {
  const { places, problems, unreachable } = await withPlaces(ports, question, async (found) => found);
  const merged = places.length > 1;
  const { since, lines, follow, sudo } = question;
  const isRaw = !merged && !follow && (since === undefined || lines === undefined);
  if (!isRaw && !question.canFormat) throw cannotFormat(question.output);
  const sources = byMachine(places).map(({ view, units }) => ({
    machine: view.machine,
    ref: machineRef(view),
    units,
  }));
  const read = isRaw ? reader.text : undefined;
  const answers = await Promise.all(sources.map((source) => readOnce(ports, source, question, read, signal)));
  const entries = inOrder(answers.flatMap((answer) => answer.entries));
  reader.entries(lines === undefined ? entries : entries.slice(Math.max(0, entries.length - lines)), merged);
  const lost = answers.flatMap((answer) => answer.unreachable ?? []);
  const failures = answers.flatMap((answer) => answer.failure ?? []);
  const result = { problems, unreachable: [...unreachable, ...lost], failures };
  reader.missing(result);
  if (!follow) return result;
  const show = (each: readonly PlacedEntry[]): void => reader.entries(each, merged);
  const gathered = merged ? gather(show) : undefined;
  const following = { driver: ports.driver, sudo, reader, show: gathered?.show ?? show, signal };
  const starts = answers.flatMap((answer) => answer.start ?? []);
  await Promise.all(starts.map((start) => followJournal(start, following)));
  gathered?.flush();
  return result;
}

/** The entries of one machine, or its error. */
type MachineEntries = {
  readonly entries: readonly PlacedEntry[];
  readonly start?: FollowStart;
  readonly unreachable?: UnreachableMachine;
  readonly failure?: FleetError;
};

/** Reads the present entries; with `text` as output of journalctl, otherwise as entries. */
async function readOnce(
  { driver }: Pick<Ports, 'driver'>,
  source: JournalSource,
  question: JournalQuestion,
  text: JournalReader['text'] | undefined,
  signal: AbortSignal,
): Promise<MachineEntries> {
  const entries: PlacedEntry[] = [];
  try {
    const stream = await driver.journal(source.machine, requestOf(source, question, text === undefined));
    if (text !== undefined) stream.onText(text);
    else onEntries(source, stream, collectInto(entries, question));
    await untilEnd(stream, signal);
    return { entries, start: { source, after: entries.at(-1)?.cursor, since: stream.clock.now } };
  } catch (error) {
    if (!isFleetError(error)) throw error;
    if (error.code === 'remote-script' || error.code === 'bad-answer' || error.code.startsWith('become-'))
      return { entries, failure: error };
    return { entries, unreachable: lostMachine(source.ref, error) };
  }
}

/** Keeps the entries that will be shown: with a limit, only the last ones. */
function collectInto(entries: PlacedEntry[], { lines }: JournalQuestion): Parameters<typeof onEntries>[2] {
  let bytes = 0;
  return (more) => {
    for (const entry of more) {
      entries.push(entry);
      bytes += entry.json.length;
    }
    if (lines === undefined) keepTo('journal', bytes);
    // Not at every call, because each removal moves the rest of the array.
    else if (entries.length > 2 * lines + 1000) entries.splice(0, entries.length - lines);
  };
}

function requestOf(
  { units }: JournalSource,
  { lines, since, until, output, sudo }: JournalQuestion,
  asEntries: boolean,
): JournalRequest {
  return {
    units,
    output: asEntries ? 'json' : output,
    // With --since, journalctl returns the first entries instead of the last ones.
    lines: since === undefined ? lines : undefined,
    since,
    until,
    after: undefined,
    follow: false,
    sudo,
  };
}

function cannotFormat(output: string): FleetError {
  return new FleetError('usage', `Cannot merge entries in the format "${output}"`, {
    hint: 'Use it for one unit on one machine, without --follow, or choose another format, such as short-iso or json',
  });
}

/** The position at which the journal of a machine is followed. */
type FollowStart = {
  readonly source: JournalSource;
  /** The cursor of the last entry that was read; undefined if there was none. */
  readonly after: string | undefined;
  /** The machine's clock at that time, in epoch seconds. */
  readonly since: number;
};

type Following = {
  readonly driver: Pick<SystemdDriver, 'journal'>;
  readonly sudo: boolean;
  readonly reader: Pick<JournalReader, 'lost' | 'back'>;
  readonly show: (entries: readonly PlacedEntry[]) => void;
  readonly signal: AbortSignal;
};

/** Follows a journal until `signal` aborts, across lost connections. */
async function followJournal(
  { source, after, since }: FollowStart,
  { driver, sudo, reader, show, signal }: Following,
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
      if (isLost && !signal.aborted) reader.back(source.ref);
      isLost = false;
      onEntries(source, stream, (entries) => {
        cursor = entries.at(-1)?.cursor ?? cursor;
        show(entries);
      });
      await untilEnd(stream, signal);
      throw new FleetError('remote-script', `journalctl ended on machine "${source.ref.name}"`);
    } catch (error) {
      if (!isFleetError(error)) throw error;
      if (signal.aborted) return;
      if (!isLost) reader.lost(source.ref, error);
      isLost = true;
      await wait(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Holds entries back for {@link GATHER_MS}, so that simultaneous entries of several machines are sorted. */
function gather(show: Following['show']): { readonly show: Following['show']; flush(): void } {
  let held: readonly PlacedEntry[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const entries = inOrder(held);
    held = [];
    if (entries.length > 0) show(entries);
  };
  return {
    flush,
    show(entries) {
      held = [...held, ...entries];
      timer ??= setTimeout(flush, GATHER_MS);
    },
  };
}

/**
 * Calls `listener` with the entries of a stream of JSON lines as they arrive. An incomplete line waits for its rest. A line
 * that is too long ends the stream.
 */
function onEntries(
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
async function untilEnd(stream: JournalStream, signal: AbortSignal): Promise<void> {
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
function inOrder(entries: readonly PlacedEntry[]): readonly PlacedEntry[] {
  return entries.toSorted((a, b) => a.time - b.time || compareText(a.machine.name, b.machine.name));
}
