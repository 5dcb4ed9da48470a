import stringWidth from 'string-width';
import { groupBy } from '../base/group-by.ts';
import { compareText } from '../base/text.ts';
import type { PlannedChange } from '../reconcile/events.ts';
import { formatAge } from './format.ts';
import type { Wait } from './pass-watch.ts';

/** The size of a terminal, in characters. */
export type ScreenSize = { readonly columns: number; readonly rows: number };

/** The limit of unit names for one action on a machine. */
const NAMED = 3;

/** `Waiting for m2 to start web.service` */
export function waitText({ machine, changes }: Wait): string {
  if (changes.length === 0) return `Waiting for ${machine} to answer`;
  const parts = [...groupBy(changes, actionOf)].map(
    ([action, each]) => `${action} ${unitList(each.map(({ unit }) => unit))}`,
  );
  return `Waiting for ${machine} to ${parts.join(' and to ')}`;
}

/**
 * One line per machine, with the duration of the wait at its end, cut to the width of the terminal. If the terminal has
 * too few rows, the last line is the number of the other machines.
 */
export function liveLines(
  waits: readonly Wait[],
  nowMs: number,
  { columns, rows }: ScreenSize,
): readonly { readonly text: string; readonly width: number }[] {
  const sorted = waits.toSorted((a, b) => compareText(a.machine, b.machine));
  // The cursor is below the last line, and a line as wide as the terminal may wrap.
  const most = Math.max(1, rows - 1);
  const shown = sorted.length <= most ? sorted : sorted.slice(0, most - 1);
  const lines = shown.map((wait) => {
    const since = `  ${formatAge(nowMs - wait.sinceMs)}`;
    return cut(waitText(wait), columns - 1 - since.length) + since;
  });
  const left = sorted.length - shown.length;
  if (left > 0) lines.push(cut(`… and ${left} more machines`, columns - 1));
  return lines.map((text) => ({ text, width: stringWidth(text) }));
}

/** The line of a wait for a log: not cut, and with the duration if `again`. */
export function slowLine(wait: Wait, nowMs: number, again: boolean): string {
  const since = again ? ` (${formatAge(nowMs - wait.sinceMs)})` : '';
  return `${waitText(wait)}${since}`;
}

/** The steps of a change in one word. */
function actionOf({ steps }: PlannedChange): string {
  const has = (kind: PlannedChange['steps'][number]): boolean => steps.includes(kind);
  if (has('restart') || (has('stop') && has('start'))) return 'restart';
  if (has('start')) return 'start';
  if (has('remove')) return 'remove';
  if (has('stop')) return 'stop';
  if (has('write')) return 'load';
  return has('check') ? 'check' : 'record';
}

function unitList(units: readonly string[]): string {
  // "and 1 more units" is not shorter than the name.
  if (units.length <= NAMED + 1) return units.join(', ');
  return `${units.slice(0, NAMED).join(', ')} and ${units.length - NAMED} more units`;
}

/** At most `width` columns, with an ellipsis if something is cut. */
function cut(text: string, width: number): string {
  return stringWidth(text) <= width ? text : `${cutLine(text, Math.max(0, width - 1))}…`;
}

const ASCII = /^[ -~]*$/;

/** The first `columns` columns of a line; a character of two columns is never split. */
export function cutLine(line: string, columns: number): string {
  if (ASCII.test(line)) return line.slice(0, columns);
  let kept = '';
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    width += stringWidth(segment);
    if (width > columns) break;
    kept += segment;
  }
  return kept;
}
