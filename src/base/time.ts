import { uptime } from 'node:os';

/** Epoch ms → `2026-11-23T06:05:41Z`: the same on every machine, and a value that `--since` and scripts can read. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -'.000Z'.length)}Z`;
}

/** The formatted parts of a time in a time zone. */
export type TimeParts = {
  /** `Mon` and `Nov`, `2026-11-23` and `06:05:41`. */
  readonly weekday: string;
  readonly month: string;
  readonly date: string;
  readonly time: string;
};

/** The parts of an epoch time in ms, in a time zone that is `offsetMinutes` ahead of UTC. */
export function timeParts(ms: number, offsetMinutes: number): TimeParts {
  const shifted = new Date(ms + offsetMinutes * 60_000);
  const [date = '', time = ''] = shifted.toISOString().slice(0, 19).split('T');
  const [weekday = '', , month = ''] = shifted.toUTCString().replace(',', '').split(' ');
  return { weekday, month, date, time };
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `500ms`, `30s`, `5m`, `1h` → milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** Milliseconds → the shortest exact spelling that {@link parseDuration} reads: 90000 → `90s`. */
export function formatDuration(ms: number): string {
  for (const unit of ['h', 'm', 's'] as const) {
    const size = UNITS[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${Math.round(ms)}ms`;
}

/** The units of a time span, in ms. Months and years are those of systemd: 30.44 and 365.25 days. */
const SPAN_UNITS: Readonly<Record<string, number>> = {
  ...names(['us', 'usec', 'µs', 'μs'], 0.001),
  ...names(['ms', 'msec'], 1),
  ...names(['', 's', 'sec', 'second', 'seconds'], 1000),
  ...names(['m', 'min', 'minute', 'minutes'], 60_000),
  ...names(['h', 'hr', 'hour', 'hours'], 3_600_000),
  ...names(['d', 'day', 'days'], 86_400_000),
  ...names(['w', 'week', 'weeks'], 604_800_000),
  ...names(['M', 'month', 'months'], 2_629_800_000),
  ...names(['y', 'year', 'years'], 31_557_600_000),
};

/** A time span of systemd.time(7): `5min 20s`, `90`, `1.5h`, `infinity` → ms; undefined for a value that systemd rejects. */
export function parseTimeSpan(text: string): number | undefined {
  if (text.trim() === 'infinity') return Number.POSITIVE_INFINITY;
  let total = 0;
  let rest = text.trim();
  if (rest === '') return undefined;
  while (rest !== '') {
    const match = /^(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµμ]*)\s*/.exec(rest);
    const unit = Object.hasOwn(SPAN_UNITS, match?.[2] ?? '') ? SPAN_UNITS[match?.[2] ?? ''] : undefined;
    if (match === null || unit === undefined) return undefined;
    total += Number(match[1]) * unit;
    rest = rest.slice(match[0].length);
  }
  return total;
}

function names(spellings: readonly string[], ms: number): Record<string, number> {
  return Object.fromEntries(spellings.map((spelling) => [spelling, ms]));
}

/** The source of the current time; tests replace it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/**
 * How much faster than another clock a clock may run, as a share. A wait for the time of another clock is longer by this
 * share. chrony slows a clock down by up to a twelfth while it corrects it (chrony.conf(5), `maxslewrate`); other causes
 * of drift stay below a thousandth.
 */
export const CLOCK_DRIFT = 0.1;

export const systemClock: Clock = { now: () => Date.now() };

/** Epoch ms that never jump: the time of day at this moment, plus the time that a monotonic clock has counted since. */
export function steadyClock(): Clock {
  const start = Date.now() - performance.now();
  return { now: () => start + performance.now() };
}

/** Ms since this computer booted, suspended time included. Changes of the time of day do not affect it. */
export const uptimeClock: Clock = { now: () => Math.round(uptime() * 1000) };
