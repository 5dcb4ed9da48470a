import type { PlannedUnit } from '../../operations/sets/changes.ts';
import type { SetPlan } from '../../operations/sets/plan.ts';
import type { DifferingFile } from '../../operations/unit-result.ts';
import { unreachableLines } from '../report.ts';
import { requestFailures } from '../request-failures.ts';
import { changeText, countsText, reasonLines, SIGNS, sameTexts } from './change.ts';

/** The limit of a comment on GitHub is 65536 characters; the rest of the page needs a part of them. */
const MOST_DIFFS = 50_000;

/** A plan as Markdown, for a comment on a pull request: a table of the units, and their differences, folded. */
export function planMarkdown(plan: SetPlan, diff: (file: DifferingFile) => readonly string[]): string {
  const { set, id, changes, problems, edits } = plan;
  const title = `### fleet: set ${code(set)}`;
  if (problems.length > 0)
    return page([title, ...problems.map(({ error }) => `- ${escaped(error.message)}`)]);
  const failures = failuresOf(plan);
  if (changes.length === 0 && edits.joined.length === 0)
    return page([
      title,
      `No changes${failures.length > 0 ? ' now' : ''} (${countsText(plan)}).`,
      ...failures,
    ]);
  return page([
    title,
    `${countsText(plan)}. Plan ${code(id)}`,
    ...(changes.length === 0
      ? []
      : [['| | unit | change |', '|---|---|---|', ...changes.map(rowOf)].join('\n')]),
    ...failures,
    ...differences(changes, diff),
    ...(edits.joined.length === 0 ? [] : [`Join the set: ${edits.joined.map(code).join(', ')}`]),
    ...(edits.left.length === 0
      ? []
      : [`Not in the folder, and left as they are: ${edits.left.map(code).join(', ')}`]),
  ]);
}

/** A list of the failures and unreachable machines that are expected. */
function failuresOf({ expected }: SetPlan): readonly string[] {
  const lines = [
    ...unreachableLines(expected.unreachable),
    ...requestFailures('apply', expected, true),
  ].filter((line) => /^(?:Error|Warning):/.test(line));
  return lines.length === 0 ? [] : [lines.map((line) => `- ${escaped(line)}`).join('\n')];
}

function rowOf(change: PlannedUnit): string {
  const text = [changeText(change), ...reasonLines(change, false)].join('; ');
  return `| ${code(SIGNS[change.kind][0])} | ${code(change.unit)} | ${escaped(text)} |`;
}

function differences(
  changes: readonly PlannedUnit[],
  diff: (file: DifferingFile) => readonly string[],
): readonly string[] {
  let length = 0;
  return sameTexts(changes).flatMap((same) => {
    const [{ unit, path = unit, text }] = same;
    if (text === undefined) return [];
    const units = same.map((each) => code(each.unit)).join(', ');
    const lines = diff({ unit, path, registryText: text.before ?? '', fileText: text.after }).join('\n');
    length += lines.length;
    const shown = length > MOST_DIFFS ? 'The difference is too long for this comment.' : lines;
    return [`<details><summary>${units}</summary>\n\n${fenced(shown)}\n\n</details>`];
  });
}

/** A block of a difference; its fence is longer than any in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}diff\n${text}\n${fence}`;
}

function code(text: string): string {
  return `<code>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('|', '&#124;')}</code>`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]<>|#]/g, (sign) => `\\${sign}`).replaceAll('\n', ' ');
}

function page(blocks: readonly string[]): string {
  return `${blocks.join('\n\n')}\n`;
}
