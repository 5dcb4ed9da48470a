/** Epoch ms → `2026-11-23T06:05:41Z`: the same on every machine, and what `--since` and scripts read back. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** A time in some time zone, ready to be written. */
export type TimeParts = {
  /** `Mon` and `Nov`, `2026-11-23` and `06:05:41`. */
  readonly weekday: string;
  readonly month: string;
  readonly date: string;
  readonly time: string;
};

/** Epoch ms as a clock shows it that is `offsetMinutes` east of Greenwich. */
export function timeParts(ms: number, offsetMinutes: number): TimeParts {
  const shifted = new Date(ms + offsetMinutes * 60_000);
  const [date = '', time = ''] = shifted.toISOString().slice(0, 19).split('T');
  const [weekday = '', , month = ''] = shifted.toUTCString().replace(',', '').split(' ');
  return { weekday, month, date, time };
}
