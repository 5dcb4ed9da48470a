import { formatDuration } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import { type Word, wordError } from './fleet-section.ts';
import { joinedValue, optionValues, type UnitFile, type UnitOption } from './unit-file.ts';

/** The times of a unit with `Fenced=true`. */
export type Fence = {
  /** TimeoutStopSec= of the unit, in ms: the limit for each part of its stop. */
  readonly timeoutMs: number;
  /** The limit for its whole stop, in ms; after that none of its processes runs. */
  readonly stopMs: number;
};

/** TimeoutStopSec= of a fenced unit that sets none, in ms. */
const DEFAULT_MS = 10_000;
/** The longest TimeoutStopSec=, in ms: during this time the unit would run on no machine. */
const MOST_MS = 300_000;

/**
 * The fence of a unit whose `Fenced=true` is `word`: its stop must end, and must leave no process running.
 * @throws FleetError `placement` for a unit that cannot be fenced
 */
export function readFence(file: UnitFile, word: Word): Fence {
  if (word.unit.type !== 'service') {
    throw wordError(
      word,
      'is for services',
      'Fence the service that it starts: that service then runs only on machines with a lease',
    );
  }
  const killMode = optionValues(file, 'Service', 'KillMode').at(-1) ?? 'control-group';
  if (killMode === 'none' || killMode === 'process') {
    throw wordError(
      word,
      `cannot be used with KillMode=${killMode}, which leaves processes behind`,
      'Remove KillMode=, or use mixed',
    );
  }
  const timeoutMs = stopTimeout(file, word);
  const count = (name: string): number => optionValues(file, 'Service', name).length;
  // systemd.service(5): the limit holds for each ExecStop= and ExecStopPost=, and for the SIGTERM after either of them.
  const posts = count('ExecStopPost');
  const parts = count('ExecStop') + 1 + (posts === 0 ? 0 : posts + 1);
  return { timeoutMs, stopMs: parts * timeoutMs };
}

function stopTimeout(file: UnitFile, word: Word): number {
  const option = file.options.filter(isTimeout).at(-1);
  if (option === undefined) return DEFAULT_MS;
  const ms = parseTimeSpan(joinedValue(option));
  // To systemd, 0 means no limit.
  if (ms !== undefined && ms > 0 && ms <= MOST_MS) return ms;
  throw wordError(
    word,
    `needs a stop that ends, and ${option.name}=${quoted(joinedValue(option))} in line ${option.line} does not`,
    `Give ${option.name}= up to ${formatDuration(MOST_MS)}, or leave it out for ${formatDuration(DEFAULT_MS)}`,
  );
}

/** TimeoutSec= sets both timeouts; the last assignment counts. systemd ignores an empty value, with a warning. */
function isTimeout(option: UnitOption): boolean {
  const { section, name } = option;
  return (
    section === 'Service' &&
    (name === 'TimeoutStopSec' || name === 'TimeoutSec') &&
    joinedValue(option) !== ''
  );
}

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

/** `5min 20s`, `90`, `1.5h`, `infinity` → ms; undefined for a value that systemd rejects. */
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
