import { sha1 } from '../base/hash.ts';
import { timeParts } from '../base/time.ts';
import type { JournalResult } from '../operations/journal.ts';
import type { PlacedEntry } from '../operations/journal-source.ts';
import { errorLines, unreachableLines } from './report.ts';

/** How the times of a line are written, for the formats that are a line an entry. */
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

/** Whether entries can be printed in a format of journalctl here, and not by journalctl alone. */
export function canFormat(format: string): boolean {
  return Object.hasOwn(STAMPS, format) || format === 'cat' || format === 'json';
}

/** Entries as journalctl prints them, each in the time zone of its machine; merged ones say where they are from. */
export function entryLines(
  entries: readonly PlacedEntry[],
  format: string,
  { merged, colours }: { readonly merged: boolean; readonly colours: boolean },
): readonly string[] {
  return entries.flatMap((entry) => {
    if (format === 'json') return [merged ? jsonOf(entry) : entry.json];
    const lines = textOf(entry, format);
    return merged ? lines.map((line) => `${origin(entry, colours)} ${line}`) : lines;
  });
}

/** What a journal lacks, for people. */
export function missingLines({ problems, unreachable, failures }: JournalResult): readonly string[] {
  return [...problems.map(({ error }) => error), ...failures]
    .flatMap((error) => errorLines(error))
    .concat(unreachableLines(unreachable));
}

/** An entry as it is, and where it comes from. */
function jsonOf({ json, machine, unit }: PlacedEntry): string {
  const place = JSON.stringify({ FLEET_MACHINE: machine.name, FLEET_UNIT: unit });
  return `${json.slice(0, json.lastIndexOf('}'))},${place.slice(1)}`;
}

function textOf(entry: PlacedEntry, format: string): readonly string[] {
  const message = (entry.fields.MESSAGE ?? '').replace(/\n+$/, '').split('\n').map(harmless);
  const stamp = STAMPS[format]?.(entry);
  if (stamp === undefined) return message;
  const { _HOSTNAME, SYSLOG_IDENTIFIER, _COMM, _PID, SYSLOG_PID } = entry.fields;
  const pid = _PID ?? SYSLOG_PID;
  const who = `${SYSLOG_IDENTIFIER ?? _COMM ?? 'unknown'}${pid === undefined ? '' : `[${pid}]`}`;
  const start = harmless(`${stamp} ${_HOSTNAME ?? entry.machine.name} ${who}: `);
  return message.map((line, index) => `${index === 0 ? start : ' '.repeat(start.length)}${line}`);
}

/** Nothing a terminal obeys. */
function harmless(text: string): string {
  return text.replaceAll(/[^\P{Cc}\t]/gu, '\ufffd');
}

/** `[web-1 hello.service]`, in a colour that is always the same for it. */
function origin({ machine, unit }: PlacedEntry, colours: boolean): string {
  const label = `[${machine.name} ${unit}]`;
  if (!colours) return label;
  const colour = COLOURS[Number.parseInt(sha1(label).slice(0, 6), 16) % COLOURS.length];
  return `\u001b[${colour}m${label}\u001b[0m`;
}

/** Cyan, yellow, green, magenta, blue, and their bright ones: no red, which means trouble. */
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
