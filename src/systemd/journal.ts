import { parseObject } from '../base/json.ts';
import { LIMITS, readNumber, readWord } from '../machine/limits.ts';
import { quote } from '../ssh/shell.ts';
import journalShell from './journal.sh';

/** What to read of the journal of one machine. */
export type JournalRequest = {
  readonly units: readonly string[];
  /** A format of journalctl(1). */
  readonly output: string;
  /** The limit of entries. With `since`, journalctl returns the first ones. */
  readonly lines: number | undefined;
  /** Times as journalctl(1) reads them, by the machine's clock. */
  readonly since: string | undefined;
  readonly until: string | undefined;
  /** The cursor of an entry: only later entries. */
  readonly after: string | undefined;
  readonly follow: boolean;
  /** Whether to read as root even if fleet.conf says `become = none`. */
  readonly sudo: boolean;
};

/** The clock of a machine, and its time zone. */
export type MachineClock = {
  /** Epoch seconds. */
  readonly now: number;
  /** The offset of the time zone, east of Greenwich, and its name. */
  readonly offsetMinutes: number;
  readonly zone: string;
};

/** The journal of a machine while it is read. */
export interface JournalStream {
  /** The clock before the first entry. */
  readonly clock: MachineClock;
  /** Calls `listener` with all output of journalctl, in pieces. */
  onText(listener: (text: string) => void): void;
  /** Resolves at the end, or after {@link close}. Rejects with a FleetError if journalctl or the connection fails. */
  readonly ended: Promise<void>;
  /** Ends journalctl on the machine, and waits for that. Never rejects. */
  close(): Promise<void>;
}

/** The script that reads the journal; `marker` begins the line with the clock of the machine. */
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

/** The limit of an answer, in bytes; infinite without a number of entries. */
export function journalBytes({ lines, follow }: JournalRequest): number {
  return lines === undefined || follow ? Number.POSITIVE_INFINITY : Math.max(1, lines) * LIMITS.entry.most;
}

/** Reads the first line of the answer: `MARKER 1795414339 +0100 CET`. Throws FleetError `bad-answer` for anything else. */
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
  /** __CURSOR: its position in the journal. */
  readonly cursor: string;
  /** __REALTIME_TIMESTAMP: epoch µs, by the machine's clock. */
  readonly time: number;
  readonly fields: Readonly<Record<string, string | undefined>>;
};

/** More than a cursor of journald, in characters. */
const LONGEST_CURSOR = 1000;

/**
 * Reads a line of `journalctl --output=json`; undefined if it is invalid. Throws FleetError `bad-answer` for a time out of
 * range.
 */
export function parseEntry(line: string): JournalEntry | undefined {
  const object = parseObject(line);
  if (object === undefined) return undefined;
  const fields = Object.fromEntries(Object.entries(object).map(([name, value]) => [name, textOf(value)]));
  const { __CURSOR: cursor = '', __REALTIME_TIMESTAMP: time } = fields;
  if (cursor === '' || cursor.length > LONGEST_CURSOR || !/^\d+$/.test(time ?? '')) return undefined;
  return { cursor, time: readNumber(time ?? '', 'timestamp'), fields };
}

/** The one of `units` that an entry is about; a message about a unit does not count for the unit that sent it. */
export function unitOfEntry({ fields }: JournalEntry, units: readonly string[]): string {
  const known = UNIT_FIELDS.map((field) => fields[field] ?? '').find((unit) => units.includes(unit));
  return known ?? units[0] ?? '';
}

const UNIT_FIELDS = ['UNIT', 'OBJECT_SYSTEMD_UNIT', 'COREDUMP_UNIT', '_SYSTEMD_UNIT', '_SYSTEMD_SLICE'];

/** A repeated field is an array; a field that is not printable text is an array of bytes. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return value === null ? '' : String(value);
  const items: readonly unknown[] = value;
  if (items.every((item) => typeof item === 'number'))
    return new TextDecoder().decode(Uint8Array.from(items));
  const [first] = items;
  return Array.isArray(first) && first.some((item) => typeof item !== 'number') ? '' : textOf(first);
}
