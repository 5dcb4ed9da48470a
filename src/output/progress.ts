import stringWidth from 'string-width';
import { compareText } from '../base/compare.ts';
import type { PlannedChange } from '../reconcile/events.ts';
import type { Wait } from './pass-watch.ts';
import { howLong } from './reason.ts';

/** The size of a terminal, in characters. */
type Size = { readonly columns: number; readonly rows: number };

/** How many units of a machine are named for one thing that is done with them. */
const NAMED = 3;

/** `Waiting for m2 to start web.service` */
export function waitText({ machine, changes }: Wait): string {
  if (changes.length === 0) return `Waiting for ${machine} to answer`;
  const deeds = new Map<string, string[]>();
  for (const change of changes) {
    const deed = deedOf(change);
    deeds.set(deed, [...(deeds.get(deed) ?? []), change.unit]);
  }
  const parts = [...deeds].map(([deed, units]) => `${deed} ${unitList(units)}`);
  return `Waiting for ${machine} to ${parts.join(' and to ')}`;
}

/**
 * One line a machine, with how long it has been waited for at its end, cut to the width of the terminal; fewer
 * lines than the terminal has, the rest is counted.
 */
export function liveLines(
  waits: readonly Wait[],
  nowMs: number,
  { columns, rows }: Size,
): readonly { readonly text: string; readonly width: number }[] {
  const sorted = waits.toSorted((a, b) => compareText(a.machine, b.machine));
  // The line below the last one is where the cursor waits; a line as wide as the terminal may wrap.
  const most = Math.max(1, rows - 1);
  const shown = sorted.length <= most ? sorted : sorted.slice(0, most - 1);
  const lines = shown.map((wait) => {
    const since = `  ${howLong(nowMs - wait.sinceMs)}`;
    return cut(waitText(wait), columns - 1 - since.length) + since;
  });
  const left = sorted.length - shown.length;
  if (left > 0) lines.push(cut(`… and ${left} more machines`, columns - 1));
  return lines.map((text) => ({ text, width: stringWidth(text) }));
}

/** The same for a log: nothing is cut, and `again` says how long it has been. */
export function slowLine(wait: Wait, nowMs: number, again: boolean): string {
  const since = again ? ` (${howLong(nowMs - wait.sinceMs)})` : '';
  return `${waitText(wait)}${since}`;
}

/** What the steps of a change come to, in one word. */
function deedOf({ steps }: PlannedChange): string {
  const has = (kind: PlannedChange['steps'][number]): boolean => steps.includes(kind);
  if (has('restart') || (has('stop') && has('start'))) return 'restart';
  if (has('start')) return 'start';
  if (has('remove')) return 'remove';
  if (has('stop')) return 'stop';
  if (has('write')) return 'load';
  return has('check') ? 'check' : 'record';
}

function unitList(units: readonly string[]): string {
  // "and 1 more" would not be shorter than its name.
  if (units.length <= NAMED + 1) return units.join(', ');
  return `${units.slice(0, NAMED).join(', ')} and ${units.length - NAMED} more units`;
}

const GRAPHEMES = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** At most `width` columns; a character that takes two of them is never cut in half. */
function cut(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let kept = '';
  let used = 1;
  for (const { segment } of GRAPHEMES.segment(text)) {
    used += stringWidth(segment);
    if (used > width) break;
    kept += segment;
  }
  return `${kept}…`;
}
