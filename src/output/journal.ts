import { sha1 } from '../base/hash.ts';
import { timeParts } from '../base/time.ts';
import { oneLine } from '../base/visible.ts';
import type { JournalResult, PlacedEntry } from '../operations/journal.ts';
import { errorLines, unreachableLines } from './report.ts';

/** The timestamps of the formats that have one line per entry. */
const STAMPS: Readonly<Record<string, (entry: PlacedEntry) => string>> = {
  short: (entry) => `${day(entry)} ${at(entry).time}`,
  'short-precise': (entry) => `${day(entry)} ${at(entry).time}.${micros(entry)}`,
  'short-full': (entry) => `${at(entry).weekday} ${at(entry).date} ${at(entry).time} ${entry.clock.zone}`,
  'short-iso': (entry) => `${at(entry).date}T${at(entry).time}${offset(entry)}`,
  'short-iso-precise': (entry) => `${at(entry).date}T${at(entry).time}.${micros(entry)}${offset(entry)}`,
  'short-unix': (entry) => `${Math.floor(entry.time / 1e6)}.${micros(entry)}`,
  'short-monotonic': ({ fields }) => {
    const time = Number(fields.__MONOTONIC_TIMESTAMP ?? 0);
    const seconds = `${Math.floor(time / 1e6)}.${String(time % 1e6).padStart(6, '0')}`;
    return `[${seconds.padStart(12)}]`;
  },
};

/** Whether fleetctl supports a format; only journalctl supports the others. */
export function canFormat(format: string): boolean {
  return Object.hasOwn(STAMPS, format) || format === 'cat' || format === 'json';
}

/** Entries in the JSON format of journalctl, one per line; merged ones have their machine and unit. */
export function entriesJson(entries: readonly PlacedEntry[], merged: boolean): string {
  return entries.map((entry) => `${merged ? jsonOf(entry) : entry.json}\n`).join('');
}

/** The machine and unit of a line, always in the same colour. */
type Origin = { readonly text: string; readonly colour: number };

/** Entries in a format of journalctl, in the time zone of their machine; merged ones have their machine and unit. */
export function entryLines(
  entries: readonly PlacedEntry[],
  format: string,
  { merged, colours }: { readonly merged: boolean; readonly colours: boolean },
): readonly (readonly (string | Origin)[])[] {
  return entries.flatMap((entry) => {
    const from = merged ? [colours ? origin(entry) : origin(entry).text, ' '] : [];
    return textOf(entry, format).map((line) => [...from, line]);
  });
}

/** Errors and warnings about entries that are missing. */
export function missingLines({ problems, unreachable, failures }: JournalResult): readonly string[] {
  return [...problems.map(({ error }) => error), ...failures]
    .flatMap((error) => errorLines(error))
    .concat(unreachableLines(unreachable));
}

/** An entry with its machine and unit. */
function jsonOf({ json, machine, unit }: PlacedEntry): string {
  const place = JSON.stringify({ FLEET_MACHINE: machine.name, FLEET_UNIT: unit });
  return `${json.slice(0, json.lastIndexOf('}'))},${place.slice(1)}`;
}

function textOf(entry: PlacedEntry, format: string): readonly string[] {
  const message = (entry.fields.MESSAGE ?? '').replace(/\n+$/, '').split('\n');
  const stamp = STAMPS[format]?.(entry);
  if (stamp === undefined) return message;
  const { _HOSTNAME, SYSLOG_IDENTIFIER, _COMM, _PID, SYSLOG_PID } = entry.fields;
  const pid = _PID ?? SYSLOG_PID;
  const who = `${SYSLOG_IDENTIFIER ?? _COMM ?? 'unknown'}${pid === undefined ? '' : `[${pid}]`}`;
  const start = oneLine(`${stamp} ${_HOSTNAME ?? entry.machine.name} ${who}: `);
  return message.map((line, index) => `${index === 0 ? start : ' '.repeat(start.length)}${line}`);
}

/** `[web-1 hello.service]` */
function origin({ machine, unit }: PlacedEntry): Origin {
  const text = `[${machine.name} ${unit}]`;
  return { text, colour: COLOURS[Number.parseInt(sha1(text).slice(0, 6), 16) % COLOURS.length] ?? 0 };
}

/** Cyan, yellow, green, magenta, blue, and their bright variants: red is for errors. */
const COLOURS = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94] as const;

function at({ time, clock }: PlacedEntry): ReturnType<typeof timeParts> {
  return timeParts(Math.floor(time / 1000), clock.offsetMinutes);
}

function day(entry: PlacedEntry): string {
  const { month, date } = at(entry);
  return `${month} ${date.slice(8)}`;
}

function micros({ time }: PlacedEntry): string {
  return String(time % 1e6).padStart(6, '0');
}

function offset({ clock: { offsetMinutes } }: PlacedEntry): string {
  const minutes = Math.abs(offsetMinutes);
  const digits = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0'));
  return `${offsetMinutes < 0 ? '-' : '+'}${digits.join('')}`;
}
