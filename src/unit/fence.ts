import { formatDuration, parseTimeSpan } from '../base/time.ts';
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
