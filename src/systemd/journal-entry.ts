import { readNumber } from '../machine/limits.ts';

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
