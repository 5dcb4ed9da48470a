import { formatDuration, parseTimeSpan } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import { type CopyLimit, type FailurePolicy, parseCopyLimit, parseFailurePolicy } from './copy-limit.ts';
import { type Word, wordError } from './fleet-section.ts';
import { expandSpecifiers } from './specifiers.ts';
import { joinedValue } from './unit-file.ts';
import { isTemplate } from './unit-name.ts';

/** Undefined without a word; otherwise the last one counts. */
export function readCopyLimit(words: readonly Word[]): CopyLimit | undefined {
  return readLast(
    words,
    parseCopyLimit,
    'is neither a number from 1 nor a percentage',
    'Write MaxParallel=2 or MaxParallel=25%',
  );
}

export function readFailurePolicy(words: readonly Word[]): FailurePolicy | undefined {
  return readLast(
    words,
    parseFailurePolicy,
    'is neither stop nor revert',
    'Write OnFailedUpdate=stop to keep the other copies as they are, or revert to restore the old text too',
  );
}

function readLast<T>(
  words: readonly Word[],
  parse: (text: string) => T | undefined,
  problem: string,
  hint: string,
): T | undefined {
  const values = words.map((word) => {
    const value = parse(word.text);
    if (value === undefined) throw wordError(word, problem, hint);
    return value;
  });
  return values.at(-1);
}

/** The words of the last option as one text, and the first of them; undefined without words. */
function lastValue(words: readonly Word[]): { readonly first: Word; readonly text: string } | undefined {
  const last = words.at(-1)?.option;
  const own = words.filter(({ option }) => option === last);
  const [first] = own;
  return first && { first, text: own.map(({ text }) => text).join(' ') };
}

/** The longest time that a pass waits for one copy, in ms. */
const LONGEST_WAIT = 3_600_000;

/** A time span of systemd.time(7), `1min 30s`, in ms; undefined without words. */
export function readTime(words: readonly Word[]): number | undefined {
  const value = lastValue(words);
  if (value === undefined) return undefined;
  const { first, text } = value;
  const ms = parseTimeSpan(text);
  if (ms !== undefined && ms > 0 && ms <= LONGEST_WAIT) return Math.ceil(ms);
  throw wordError(
    first,
    `is not a time of up to an hour (${quoted(text)})`,
    'Write a time such as 10s or 2min',
  );
}

/** The range of Confirm=, in ms: it takes a start and a login, and nothing else can change the unit for that long. */
const SHORTEST_CONFIRM = 5000;
const LONGEST_CONFIRM = 3_600_000;
/** systemd's limit for names is 255; the unit that reverts is `fleet-confirm@NAME.service`. */
const LONGEST_NAME = 230;

/**
 * The time within which a change has to be confirmed, in ms; undefined if it need not be. The last option counts.
 * @throws FleetError `placement` for anything but a time of that range
 */
export function readConfirm(words: readonly Word[]): number | undefined {
  const last = words.at(-1);
  if (last === undefined) return undefined;
  const ms = parseTimeSpan(lastValue(words)?.text ?? '');
  if (ms === undefined || ms < SHORTEST_CONFIRM || ms > LONGEST_CONFIRM) {
    throw wordError(
      last,
      `is not a time from ${formatDuration(SHORTEST_CONFIRM)} to ${formatDuration(LONGEST_CONFIRM)}`,
      'Write Confirm=30s: the time for the start of the unit and a new login',
    );
  }
  if (last.unit.text.length > LONGEST_NAME && !isTemplate(last.unit))
    throw wordError(
      last,
      `needs a name of at most ${LONGEST_NAME} characters`,
      'Give the unit a shorter name',
    );
  return ms;
}

/** The value as it is written, for a shell, with specifiers expanded; undefined if it is empty. */
export function readCommand(words: readonly Word[]): string | undefined {
  const last = words.at(-1);
  return last === undefined ? undefined : expandSpecifiers(joinedValue(last.option), last.unit);
}
