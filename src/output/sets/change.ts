import { groupBy } from '../../base/group-by.ts';
import { formatDuration } from '../../base/time.ts';
import { CHANGE_KINDS, type ChangeKind, type PlannedUnit } from '../../operations/sets/changes.ts';
import type { SetPlan } from '../../operations/sets/plan.ts';
import type { Step } from '../../plan/step.ts';
import { reasonText } from '../reason.ts';

/** The sign of a change at the beginning of its line, and its colour, a parameter of SGR. */
export const SIGNS: Readonly<Record<ChangeKind, readonly [sign: string, colour: number]>> = {
  new: ['+', 32],
  changed: ['~', 33],
  moved: ['>', 36],
  restarted: ['!', 33],
  started: ['!', 33],
  stopped: ['!', 33],
  repaired: ['!', 33],
  removed: ['-', 31],
};

/**
 * The change of a unit as the end of a sentence about it: `launched on m1, the only machine that fits`. A change that has to be
 * confirmed has `; confirmed within 30s, or reverted`.
 */
export function changeText(change: PlannedUnit): string {
  const { confirmMs } = change;
  return confirmMs === undefined
    ? plainText(change)
    : `${plainText(change)}; confirmed within ${formatDuration(confirmMs)}, or reverted`;
}

function plainText(change: PlannedUnit): string {
  const { kind, target, isUnschedulable } = change;
  if (kind === 'removed') return removalText(change);
  if (isUnschedulable) return `${target.after} on no machine: no machine fits`;
  if (kind === 'new') return placeText(change);
  if (kind === 'moved') return `moves from ${change.from} to ${change.machines.join(', ')}`;
  if (kind === 'changed') return parts(change).join(', ');
  const what =
    effects(change).join(', ') || `is repaired on ${machinesWith(change, (steps) => steps.length > 0)}`;
  return `${what}: ${kind === 'started' ? startText(change) : WHY[kind]}`;
}

/** Why a unit without a new text changes. */
const WHY: Readonly<Record<'restarted' | 'stopped' | 'repaired', string>> = {
  restarted: 'its file there differs',
  stopped: 'it is only loaded',
  repaired: 'its file, links or record differ',
};

/** Why a unit is started: `it is not running, or stops with db.service`. */
function startText({ steps }: PlannedUnit): string {
  const reasons = steps
    .filter((each) => each.steps.includes('start'))
    .map(({ stopsWith }) => (stopsWith === undefined ? 'is not running' : `stops with ${stopsWith}`));
  return `it ${[...new Set(reasons)].join(', or ')}`;
}

/** The reasons below the line: why it moves, or why machines do not fit; with `full` also those for a unit that has a machine. */
export function reasonLines(
  { because, rejected, isUnschedulable, kind }: PlannedUnit,
  full: boolean,
): readonly string[] {
  const moves = because === undefined ? [] : [reasonText(because)];
  const isShown = isUnschedulable || (full && (kind === 'new' || kind === 'moved'));
  return [
    ...moves,
    ...(isShown ? rejected.map(({ machine, reason }) => `not ${machine}: ${reasonText(reason)}`) : []),
  ];
}

/** The changes with a new text, where the same change of the text, as in a template and its instances, is one group. */
export function sameTexts(
  changes: readonly PlannedUnit[],
): readonly (readonly [PlannedUnit, ...PlannedUnit[]])[] {
  const withText = changes.filter(({ text }) => text !== undefined);
  const keyOf = ({ path, text }: PlannedUnit): string => JSON.stringify([path, text?.before, text?.after]);
  return [...groupBy(withText, keyOf).values()];
}

/** `1 new, 2 changed, 7 unchanged` */
export function countsText({ changes, unchanged }: Pick<SetPlan, 'changes' | 'unchanged'>): string {
  const counts = CHANGE_KINDS.map(
    (kind) => [changes.filter((each) => each.kind === kind).length, kind] as const,
  );
  return [...counts.filter(([count]) => count > 0), [unchanged, 'unchanged'] as const]
    .map(([count, kind]) => `${count} ${kind}`)
    .join(', ');
}

function removalText(change: PlannedUnit): string {
  const machines = machinesWith(change, (steps) => steps.includes('remove'));
  return machines === '' ? 'removed from the registry' : `stopped and removed from ${machines}`;
}

function placeText({ target, machines, global, fits, rejected, beside }: PlannedUnit): string {
  if (target.after === 'inactive') return 'stored in the registry';
  if (global) return `${target.after} on ${machines.length} of ${machines.length + rejected.length} machines`;
  return `${target.after} on ${machines.join(', ')}, ${choiceText(fits, beside)}`;
}

/** Why it gets that machine; see Workload.rank. */
function choiceText(fits: number, beside: string | undefined): string {
  if (beside !== undefined) return `with ${beside}`;
  return fits < 2
    ? 'the only machine that fits'
    : `which has the fewest standard units of the ${fits} that fit`;
}

function parts(change: PlannedUnit): readonly string[] {
  const { text, target, from, machines } = change;
  return [
    ...(text === undefined ? [] : ['new text']),
    ...(target.before === target.after ? [] : [`${target.before} → ${target.after}`]),
    ...(from === undefined || machines.length === 0 ? [] : [`moves from ${from} to ${machines.join(', ')}`]),
    ...effects(change),
  ];
}

/** `restarts on m1`, for each effect on machines. */
function effects(change: PlannedUnit): readonly string[] {
  const has = (steps: Kinds, kind: Step['kind']): boolean => steps.includes(kind);
  const restarts = (steps: Kinds): boolean =>
    has(steps, 'restart') || (has(steps, 'stop') && has(steps, 'start'));
  const rules: readonly (readonly [string, (steps: Kinds) => boolean])[] = [
    ['restarts on', restarts],
    [change.oneshot ? 'runs now on' : 'starts on', (steps) => has(steps, 'start') && !restarts(steps)],
    ['stops on', (steps) => has(steps, 'stop') && !restarts(steps)],
    ['is written to', (steps) => has(steps, 'write') && !has(steps, 'start') && !has(steps, 'stop')],
  ];
  return rules.flatMap(([words, holds]) => {
    const machines = machinesWith(change, holds);
    return machines === '' ? [] : [`${words} ${machines}`];
  });
}

type Kinds = readonly Step['kind'][];

function machinesWith({ steps }: PlannedUnit, holds: (steps: Kinds) => boolean): string {
  return steps
    .filter((each) => holds(each.steps))
    .map(({ machine }) => machine)
    .join(', ');
}
