import type { Stale } from '../../operations/sets/apply.ts';
import type { PlannedUnit } from '../../operations/sets/changes.ts';
import type { SetPlan } from '../../operations/sets/plan.ts';
import type { DifferingFile, RequestResult, UnitResult } from '../../operations/unit-result.ts';
import { isTemplateName } from '../../unit/unit-name.ts';
import { eventText } from '../events.ts';
import { formatAge } from '../format.ts';
import { problemsJson, unreachableJson } from '../json.ts';
import { failedJson } from '../pass.ts';
import { reasonText, rejectedJson } from '../reason.ts';
import type { ReportLines } from '../report.ts';
import { requestFailures } from '../request-failures.ts';
import { requestReport } from '../request-report.ts';
import { changeText, countsText, reasonLines, SIGNS, sameTexts } from './change.ts';

/** A line with coloured parts, by parameters of SGR. */
type Line = string | readonly (string | { readonly text: string; readonly colour: number })[];

type PlanView = {
  /** Show everything: whole differences, whole new texts, and the reasons against other machines. */
  readonly full: boolean;
  /** The lines of a unified diff; loaded only where there is one. */
  readonly diff: (file: DifferingFile) => readonly string[];
};

/** The limit of lines of a difference, unless everything is shown. */
const DIFF_LINES = 16;

/** A plan: a line for each unit, its difference and its reasons, and a last line with the id and counts. */
export function planLines(plan: SetPlan, view: PlanView): readonly Line[] {
  const { changes, set, id } = plan;
  const notes = noteLines(plan, view.full || changes.length > 0, view.full);
  if (changes.length === 0 && plan.edits.joined.length === 0)
    return [
      ...notes,
      `No changes${isAsWanted(plan) ? `: set "${set}" is as wanted` : ' now'} (${countsText(plan)})`,
    ];
  const widest = Math.min(30, Math.max(0, ...changes.map(({ unit }) => unit.length)));
  const firsts = new Set(sameTexts(changes).map(([first]) => first));
  return [
    ...changes.flatMap((change) => [
      ...changeLines(change, widest, view),
      ...(firsts.has(change) ? diffLines(change, view) : []),
    ]),
    ...notes,
    `Plan: ${id} (${countsText(plan)})`,
  ];
}

/** Whether nothing fails or is missing. */
function isAsWanted({ expected }: Pick<SetPlan, 'expected'>): boolean {
  return requestFailures('apply', expected, true).length + expected.unreachable.length === 0;
}

function changeLines(change: PlannedUnit, widest: number, view: PlanView): readonly Line[] {
  const [sign, colour] = SIGNS[change.kind];
  const head = { text: `${sign} ${change.unit.padEnd(widest)}`, colour };
  return [[head, `  ${changeText(change)}`], ...reasonLines(change, view.full).map((line) => `    ${line}`)];
}

function diffLines({ unit, path = unit, text }: PlannedUnit, { full, diff }: PlanView): readonly Line[] {
  if (text === undefined || (text.before === undefined && !full)) return [];
  const lines = diff({ unit, path, registryText: text.before ?? '', fileText: text.after });
  const shown = full ? lines : lines.slice(0, DIFF_LINES);
  const rest = lines.length - shown.length;
  return [
    ...shown.map((line): Line => {
      const colour = COLOURS[line.slice(0, 1)];
      return colour === undefined ? `    ${line}` : ['    ', { text: line, colour }];
    }),
    ...(rest === 0 ? [] : [`    … ${rest} more lines: -v`]),
  ];
}

const COLOURS: Readonly<Record<string, number>> = { '+': 32, '-': 31, '@': 36 };

/** The units that only join or stay, and the files that were skipped. */
function noteLines({ edits, skipped, set }: SetPlan, hasSkipped: boolean, full: boolean): readonly string[] {
  const { left, joined } = edits;
  return [
    ...(left.length === 0
      ? []
      : [`Not in the folder, and left as they are: ${list(left, full)} (to end them: --prune)`]),
    ...(joined.length === 0 ? [] : [`Join set "${set}": ${list(joined, full)}`]),
    ...(skipped.length === 0 || !hasSkipped ? [] : [`Skipped, not unit files: ${list(skipped, full)}`]),
  ];
}

const LISTED = 4;

function list(names: readonly string[], full: boolean): string {
  if (full || names.length <= LISTED) return names.join(', ');
  return `${names.slice(0, LISTED).join(', ')} and ${names.length - LISTED} more`;
}

/** Why a plan is not executed: the changes since it was made, one line each. `now` is epoch ms. */
export function staleLines(
  id: string,
  { events, isOtherRequest, hasWork }: Omit<Stale, 'kind' | 'plan'>,
  now: number,
): readonly string[] {
  if (!hasWork)
    return [
      `Error: Cannot apply plan ${id}: the files or the options are not those of the plan`,
      'hint: With these, there is nothing to do; give the options of the plan too, such as --prune',
    ];
  const changes = events.map(
    ({ event, by, at }) => `  ${eventText(event)}: ${formatAge(Math.max(1000, now - at))} ago by ${by}`,
  );
  return [
    `Error: Cannot apply plan ${id}: it has changed since it was made`,
    ...changes,
    ...(isOtherRequest ? ['  The files or the options are not those of the plan'] : []),
    ...(changes.length === 0 && !isOtherRequest
      ? ['  The state of the machines differs; the registry has the same units']
      : []),
    isOtherRequest
      ? 'hint: Give the options of the plan too, such as --prune; or check the new plan, and apply that one'
      : 'hint: Check the new plan, and apply that one',
  ];
}

/** The results of an applied plan: a line for each unit that it changed, and the failures of all units of the set. */
export function appliedReport({ changes, edits }: SetPlan, result: RequestResult): ReportLines {
  const isPruned = ({ unit }: UnitResult): boolean => edits.pruned.includes(unit);
  const [ended, kept] = [result.results.filter(isPruned), result.results.filter((each) => !isPruned(each))];
  const templates = changes.filter(({ unit }) => isTemplateName(unit)).map(({ unit }) => unit);
  // A template is on no machine, unless a socket needs it.
  const isNews = ({ unit, target }: UnitResult): boolean =>
    changes.some((change) => change.unit === unit) && !(templates.includes(unit) && target === 'inactive');
  const ends = requestReport('destroy', { ...result, results: ended, problems: [] });
  return {
    out: [
      ...templates.filter((unit) => !edits.pruned.includes(unit)).map((unit) => `Template ${unit} stored`),
      ...requestReport('apply', { ...result, results: kept.filter(isNews) }).out,
      ...ends.out,
    ],
    err: [...new Set([...requestReport('apply', { ...result, results: kept }).err, ...ends.err])],
  };
}

/** `{ "plan": …, "set": …, "changes": […], … }`, see src/manual/json.md. */
export function planJson(plan: SetPlan): object {
  const { set, id, changes, unchanged, edits, skipped, problems, expected } = plan;
  return {
    plan: id,
    set,
    changes: changes.map(changeJson),
    unchanged,
    left: edits.left,
    joined: edits.joined,
    skipped,
    held: problemsJson(edits.held),
    failures: failedJson(expected.results),
    problems: problemsJson(problems),
    unreachable: unreachableJson(expected.unreachable),
  };
}

function changeJson(change: PlannedUnit): object {
  const { unit, kind, path, text, target, machines, from, because, rejected, steps, global, confirmMs } =
    change;
  return {
    unit,
    change: kind,
    path: path ?? null,
    global,
    desiredState: target.after,
    before: target.before === undefined ? null : { desiredState: target.before },
    text: text === undefined ? null : { before: text.before ?? null, after: text.after },
    machines,
    confirmMs: confirmMs ?? null,
    from: from ?? null,
    because: because === undefined ? null : reasonText(because),
    rejected: rejectedJson(rejected),
    steps: steps.map(({ machine, steps: kinds, obstacle }) => ({
      machine,
      steps: kinds,
      obstacle: obstacle ?? null,
    })),
  };
}
