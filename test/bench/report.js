import { median } from './contest.js';

/**
 * What one name is to another: the ratio of their medians, and the most it may be.
 *
 * @typedef {{ readonly of: string, readonly to: string, readonly budget?: number }} Ratio
 *
 * @typedef {object} Outcome
 * @property {string} title
 * @property {readonly import('./contest.js').Result[]} results
 * @property {readonly Ratio[]} [ratios]
 * @property {readonly string[]} [notes]
 */

/** The ratios that are over their budget, or not. */
export function verdicts({ results, ratios = [] }) {
  const times = new Map(results.map(({ name, times }) => [name, median(times)]));
  return ratios.map(({ of, to, budget }) => {
    const ratio = times.get(of) / times.get(to);
    return { of, to, budget, ratio, isOver: budget !== undefined && !(ratio <= budget) };
  });
}

/**
 * An outcome as lines that a person can read.
 *
 * @param {Outcome} outcome
 */
export function describe(outcome) {
  const { title, results, notes = [] } = outcome;
  const rounds = results[0].times.length;
  return [
    `${title} (${rounds} ${rounds === 1 ? 'round' : 'rounds'})`,
    ...columns([
      ['', 'median', 'min', 'max'],
      ...results.map(({ name, times }) => [
        name,
        ...[median(times), Math.min(...times), Math.max(...times)].map(time),
      ]),
    ]),
    ...columns(verdicts(outcome).map(ratioCells)),
    ...notes.map((note) => `  ${note}`),
  ];
}

function ratioCells({ of, to, budget, ratio, isOver }) {
  const verdict = budget === undefined ? '' : `budget ${budget.toFixed(2)}  ${isOver ? 'OVER' : 'ok'}`;
  return [`${of} : ${to}`, ratio.toFixed(2), verdict];
}

function time(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}

/** The first column to the left, the others to the right. */
function columns(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
    );
    return `  ${cells.join('   ')}`.trimEnd();
  });
}
