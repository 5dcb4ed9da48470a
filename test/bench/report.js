import { median } from './compare.js';

/**
 * A number that is judged; without a budget it is for information.
 *
 * @typedef {{ readonly label: string, readonly value: number, readonly budget?: number, readonly unit: string }} Check
 *
 * @typedef {object} Outcome
 * @property {string} title
 * @property {readonly import('./compare.js').Result[]} results
 * @property {readonly Check[]} [checks]
 * @property {readonly string[]} [notes]
 */

/** The ratio of the medians of two results. @returns {Check} */
export function ratio(results, of, to, budget) {
  return { label: `${of} : ${to}`, value: medianOf(results, of) / medianOf(results, to), budget, unit: '' };
}

/** The median of a result, or what `choose` takes from its times. @returns {Check} */
export function limit(results, of, budget, choose = median) {
  const { times, unit = 'ms' } = resultOf(results, of);
  const label = choose === median ? of : `${of}, worst`;
  return { label, value: choose(times), budget, unit };
}

/** @param {readonly number[]} values */
export function worst(values) {
  return Math.max(...values);
}

export function resultOf(results, name) {
  return results.find((result) => result.name === name);
}

function medianOf(results, name) {
  return median(resultOf(results, name).times);
}

/** Whether a check exceeds its budget. @param {Check} check */
export function isOver({ value, budget }) {
  return budget !== undefined && !(value <= budget);
}

/** An outcome as text, or as Markdown. @param {Outcome} outcome */
export function describe(outcome, isMarkdown = false) {
  const { title, results, checks = [], notes = [] } = outcome;
  const table = isMarkdown ? markdownTable : columns;
  const rounds = results[0]?.times.length ?? 0;
  const heading = `${title} (${rounds} ${rounds === 1 ? 'round' : 'rounds'})`;
  const hasCpu = results.some(({ cpu }) => cpu !== undefined);
  const rows = results.map(({ name, times, cpu, unit = 'ms' }) => [
    name,
    ...[median(times), Math.min(...times), Math.max(...times)].map((value) => quantity(value, unit)),
    ...(hasCpu ? [cpu === undefined ? '' : quantity(median(cpu), 'ms')] : []),
  ]);
  const legend = ['', 'median', 'min', 'max', ...(hasCpu ? ['CPU'] : [])];
  const judged = checks.map((check) => [
    check.label,
    quantity(check.value, check.unit),
    ...(check.budget === undefined
      ? ['', '']
      : [quantity(check.budget, check.unit), isOver(check) ? 'OVER' : 'ok']),
  ]);
  const lines = [
    isMarkdown ? `### ${heading}` : heading,
    ...table(legend, rows),
    ...(judged.length > 0 ? table(['', 'measured', 'budget', 'result'], judged) : []),
    ...notes.map((note) => (isMarkdown ? `\n${note}` : `  ${note}`)),
  ];
  return lines.join('\n');
}

function quantity(value, unit) {
  if (unit === 'ms' && value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  if (unit === 'ms') return `${value.toFixed(value < 100 ? 1 : 0)} ms`;
  return unit === '' ? value.toFixed(2) : `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

/** Aligns the first column left and the others right. */
function columns(legend, rows) {
  const all = [legend, ...rows];
  const widths = legend.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  return all.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
    );
    return `  ${cells.join('   ')}`.trimEnd();
  });
}

function markdownTable(legend, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`.replaceAll(/ {2,}/g, ' ');
  return ['', line(legend), `|${legend.map(() => '---').join('|')}|`, ...rows.map(line)];
}
