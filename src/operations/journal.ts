import { FleetError, isFleetError } from '../base/errors.ts';
import { keepTo } from '../machine/limits.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { JournalRequest } from '../systemd/journal.ts';
import {
  type FollowListener,
  type FollowStart,
  followJournals,
  inOrder,
  type JournalSource,
  onEntries,
  type PlacedEntry,
  untilEnd,
} from './journal-entries.ts';
import { lostMachine, machineRef, type UnreachableMachine } from './listing.ts';
import { byMachine, type PlacesRequest, withPlaces } from './unit-places.ts';
import type { UnitProblem } from './unit-result.ts';

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
export type JournalReader = Omit<FollowListener, 'entries'> & {
  /** The unchanged output of journalctl, for one unit on one machine. */
  text(text: string): void;
  /** Sorted entries; `merged` if they are of several units or machines. */
  entries(entries: readonly PlacedEntry[], merged: boolean): void;
  /** The missing parts of the answer; called before journals are followed. */
  missing(result: JournalResult): void;
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
  const starts = answers.flatMap((answer) => answer.start ?? []);
  if (follow) {
    const listener = { ...reader, entries: (each: readonly PlacedEntry[]) => reader.entries(each, merged) };
    await followJournals(ports.driver, starts, { sudo, merged }, listener, signal);
  }
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
