/** The units of systemd.time(7), in ms. Months and years are those of systemd: 30.44 and 365.25 days. */
const UNITS: Readonly<Record<string, number>> = {
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

/** `5min 20s`, `90`, `1.5h`, `infinity` → ms; undefined for what systemd would not read. */
export function parseTimeSpan(text: string): number | undefined {
  if (text.trim() === 'infinity') return Number.POSITIVE_INFINITY;
  let total = 0;
  let rest = text.trim();
  if (rest === '') return undefined;
  while (rest !== '') {
    const match = /^(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµμ]*)\s*/.exec(rest);
    const unit = Object.hasOwn(UNITS, match?.[2] ?? '') ? UNITS[match?.[2] ?? ''] : undefined;
    if (match === null || unit === undefined) return undefined;
    total += Number(match[1]) * unit;
    rest = rest.slice(match[0].length);
  }
  return total;
}

function names(spellings: readonly string[], ms: number): Record<string, number> {
  return Object.fromEntries(spellings.map((spelling) => [spelling, ms]));
}
