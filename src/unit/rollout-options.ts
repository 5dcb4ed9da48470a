import { quoted } from '../base/visible.ts';
import { type CopyLimit, type FailurePolicy, parseCopyLimit, parseFailurePolicy } from './copy-limit.ts';
import { parseTimeSpan } from './fence.ts';
import { type Word, wordError } from './fleet-section.ts';
import { expandSpecifiers } from './specifiers.ts';
import { joinedValue } from './unit-file.ts';

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

/** The longest time that a pass waits for one copy, in ms. */
const MOST_MS = 3_600_000;

/** A time span of systemd.time(7), `1min 30s`, in ms; undefined without words. */
export function readTime(words: readonly Word[]): number | undefined {
  const last = words.at(-1)?.option;
  const own = words.filter(({ option }) => option === last);
  const [first] = own;
  if (first === undefined) return undefined;
  const text = own.map((word) => word.text).join(' ');
  const ms = parseTimeSpan(text);
  if (ms !== undefined && ms > 0 && ms <= MOST_MS) return Math.ceil(ms);
  throw wordError(
    first,
    `is not a time of up to an hour (${quoted(text)})`,
    'Write a time such as 10s or 2min',
  );
}

/** The value as it is written, for a shell, with specifiers expanded; undefined if it is empty. */
export function readCommand(words: readonly Word[]): string | undefined {
  const last = words.at(-1);
  return last === undefined ? undefined : expandSpecifiers(joinedValue(last.option), last.unit);
}
