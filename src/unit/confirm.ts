import { formatDuration } from '../base/time.ts';
import { parseTimeSpan } from './fence.ts';
import { type Word, wordError } from './fleet-section.ts';
import { isTemplate } from './unit-name.ts';

/** The range of Confirm=, in ms: it takes a start and a login, and nothing else can change the unit for that long. */
const LEAST_MS = 5000;
const MOST_MS = 3_600_000;
/** systemd's limit for names is 255; the unit that reverts is `fleet-confirm@NAME.service`. */
const LONGEST_NAME = 230;

/**
 * The time within which a change has to be confirmed, in ms; undefined if it need not be. The last option counts.
 * @throws FleetError `placement` for anything but a time of that range
 */
export function readConfirm(words: readonly Word[]): number | undefined {
  const last = words.at(-1);
  if (last === undefined) return undefined;
  const span = words.flatMap(({ option, text }) => (option === last.option ? text : [])).join(' ');
  const ms = parseTimeSpan(span);
  if (ms === undefined || ms < LEAST_MS || ms > MOST_MS) {
    throw wordError(
      last,
      `is not a time from ${formatDuration(LEAST_MS)} to ${formatDuration(MOST_MS)}`,
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
