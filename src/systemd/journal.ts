import { LIMITS, readNumber, readWord } from '../machine/limits.ts';
import { quote } from '../ssh/shell.ts';
import journalShell from './journal.sh';

/** What to read of the journal of one machine. */
export type JournalRequest = {
  readonly units: readonly string[];
  /** A format of journalctl(1). */
  readonly output: string;
  /** No more than the last so many entries. journalctl takes it for the first ones when `since` is given too. */
  readonly lines: number | undefined;
  /** Times as journalctl(1) reads them, by the machine's clock. */
  readonly since: string | undefined;
  readonly until: string | undefined;
  /** The cursor of an entry: only what comes after it. */
  readonly after: string | undefined;
  readonly follow: boolean;
  /** Whether to read with root rights also where fleet.conf says `become = none`. */
  readonly sudo: boolean;
};

/** What a machine's clock shows, and how it writes times. */
export type MachineClock = {
  /** Epoch seconds. */
  readonly now: number;
  /** Of its time zone, east of Greenwich, and the name of that. */
  readonly offsetMinutes: number;
  readonly zone: string;
};

/** The journal of a machine, as it is being read. */
export interface JournalStream {
  /** As it was before the first entry. */
  readonly clock: MachineClock;
  /** Called with every piece of what journalctl prints, from the first on. */
  onText(listener: (text: string) => void): void;
  /** Resolves at the end, or after {@link close}. Rejects with a FleetError when journalctl or the connection failed. */
  readonly ended: Promise<void>;
  /** Ends journalctl on the machine, waits for that, and never rejects. */
  close(): Promise<void>;
}

/** Reads the journal, for /bin/sh on the machine; `marker` begins the line that tells its clock. */
export function readJournalScript(marker: string, request: JournalRequest): string {
  const { units, output, lines, since, until, after, follow } = request;
  const words = [
    'journalctl',
    '--no-pager',
    '--quiet',
    '--all',
    `--output=${output}`,
    ...units.map((unit) => `--unit=${unit}`),
    ...(lines === undefined ? ['--no-tail'] : [`--lines=${lines}`]),
    ...(since === undefined ? [] : [`--since=${since}`]),
    ...(until === undefined ? [] : [`--until=${until}`]),
    ...(after === undefined ? [] : [`--after-cursor=${after}`]),
    ...(follow ? ['--follow'] : []),
  ];
  return `M=${quote(marker)}\n${journalShell}\nread_journal ${words.map(quote).join(' ')}; exit\n`;
}

/** How many bytes an honest answer has at most; without a number of entries it may go on for ever. */
export function journalBytes({ lines, follow }: JournalRequest): number {
  return lines === undefined || follow ? Number.POSITIVE_INFINITY : Math.max(1, lines) * LIMITS.entry.most;
}

/** Reads the first line of the answer: `MARKER 1795414339 +0100 CET`. Throws FleetError `bad-answer` for no clock. */
export function parseClock(line: string): MachineClock {
  const [, now = '', offset = '', zone = ''] = line.split(' ');
  readWord(offset, /^[+-]\d{4}$/, 'the offset of a time zone');
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(3, 5));
  return {
    now: readNumber(now, 'clock'),
    offsetMinutes: offset.startsWith('-') ? -minutes : minutes,
    zone: readWord(zone, /^[A-Za-z0-9+-]{0,20}$/, 'the name of a time zone'),
  };
}

/** One entry of a journal: its fields as text, see systemd.journal-fields(7). */
export type JournalEntry = {
  /** __CURSOR: where it is in the journal of its machine. */
  readonly cursor: string;
  /** __REALTIME_TIMESTAMP: epoch µs, by the machine's clock. */
  readonly time: number;
  readonly fields: Readonly<Record<string, string | undefined>>;
};

/** More than a cursor of journald takes, in characters. */
const LONGEST_CURSOR = 1000;

/**
 * Reads a line of `journalctl --output=json`; undefined for one that is none. Throws FleetError `bad-answer` for a time
 * that is out of range.
 */
export function parseEntry(line: string): JournalEntry | undefined {
  const object = parseObject(line);
  if (object === undefined) return undefined;
  const fields = Object.fromEntries(Object.entries(object).map(([name, value]) => [name, textOf(value)]));
  const { __CURSOR: cursor = '', __REALTIME_TIMESTAMP: time } = fields;
  if (cursor === '' || cursor.length > LONGEST_CURSOR || !/^\d+$/.test(time ?? '')) return undefined;
  return { cursor, time: readNumber(time ?? '', 'timestamp'), fields };
}

/**
 * Which of `units` an entry is about: what systemd, or something that looks after units, says of one counts for that
 * one and not for who says it.
 */
export function unitOfEntry({ fields }: JournalEntry, units: readonly string[]): string {
  const known = UNIT_FIELDS.map((field) => fields[field] ?? '').find((unit) => units.includes(unit));
  return known ?? units[0] ?? '';
}

const UNIT_FIELDS = ['UNIT', 'OBJECT_SYSTEMD_UNIT', 'COREDUMP_UNIT', '_SYSTEMD_UNIT', '_SYSTEMD_SLICE'];

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** A field that is there several times is an array; one that is not printable text, an array of its bytes. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return value === null ? '' : String(value);
  const items: readonly unknown[] = value;
  if (items.every((item) => typeof item === 'number'))
    return new TextDecoder().decode(Uint8Array.from(items));
  const [first] = items;
  return Array.isArray(first) && first.some((item) => typeof item !== 'number') ? '' : textOf(first);
}
