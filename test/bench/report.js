import { median } from './compare.js';

/**
 * A ratio of the medians of two measurements, and its budget.
 *
 * @typedef {{ readonly of: string, readonly to: string, readonly budget?: number }} Ratio
 *
 * @typedef {object} Outcome
 * @property {string} title
 * @property {readonly import('./compare.js').Result[]} results
 * @property {readonly Ratio[]} [ratios]
 * @property {readonly string[]} [notes]
 */

/** The ratios, with whether they exceed their budget. */
export function budgetResults({ results, ratios = [] }) {
  const times = new Map(results.map(({ name, times }) => [name, median(times)]));
  return ratios.map(({ of, to, budget }) => {
    const ratio = times.get(of) / times.get(to);
    return { of, to, budget, ratio, isOver: budget !== undefined && !(ratio <= budget) };
  });
}

/**
 * Formats an outcome.
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
    ...columns(budgetResults(outcome).map(ratioCells)),
    ...notes.map((note) => `  ${note}`),
  ];
}

function ratioCells({ of, to, budget, ratio, isOver }) {
  const result = budget === undefined ? '' : `budget ${budget.toFixed(2)}  ${isOver ? 'OVER' : 'ok'}`;
  return [`${of} : ${to}`, ratio.toFixed(2), result];
}

function time(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}

/** Aligns the first column left and the others right. */
function columns(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
    );
    return `  ${cells.join('   ')}`.trimEnd();
  });
}
