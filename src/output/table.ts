import Table from 'cli-table3';
import stringWidth from 'string-width';
import { FleetError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import { visible } from '../base/visible.ts';

/** One column: the field people ask for with --fields, and what it shows. */
export type Column<Row> = {
  readonly field: string;
  readonly value: (row: Row, options: TableOptions) => string;
};

export type TableOptions = {
  /** Print the line of titles. */
  readonly legend: boolean;
  /** Print ids and hashes whole. */
  readonly full: boolean;
  /** How wide columns are at least, for rows that are drawn one after the other. */
  readonly widths?: readonly number[];
};

/** The columns named by `fields` (`unit,machine`), in that order. Throws FleetError `usage` for an unknown one. */
export function selectColumns<Row>(
  columns: readonly Column<Row>[],
  fields: readonly string[],
): readonly Column<Row>[] {
  return fields.map((field) => {
    const column = columns.find((candidate) => candidate.field === field);
    if (column !== undefined) return column;
    const known = columns.map((candidate) => candidate.field);
    const near = nearest(field, known);
    throw new FleetError('usage', `No such field: "${field}"`, {
      hint: `${near === undefined ? '' : `Did you mean "${near}"? `}Fields: ${known.join(', ')}`,
    });
  });
}

/** How many rows one table object draws: cli-table3's cost is quadratic in them. */
const BLOCK = 100;
const GAP = 2;

/** Columns padded with two spaces, no borders, no trailing spaces; every line ends with a newline. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: TableOptions,
): string {
  const titles = columns.map(({ field }) => field.toUpperCase());
  const cells = rows.map((row) => columns.map((column) => oneLine(column.value(row, options))));
  const lines = options.legend ? [titles, ...cells] : cells;
  const widths = columns.map((_, index) =>
    lines.reduce(
      (widest, line) => Math.max(widest, widthOf(line[index] ?? '')),
      options.widths?.[index] ?? 0,
    ),
  );
  const blocks: string[] = [];
  for (let start = 0; start < lines.length; start += BLOCK) {
    blocks.push(drawBlock(lines.slice(start, start + BLOCK), widths));
  }
  return blocks.join('');
}

function drawBlock(lines: readonly (readonly string[])[], widths: readonly number[]): string {
  const table = new Table({
    chars: BORDERLESS,
    colWidths: widths.map((width, index) => width + (index < widths.length - 1 ? GAP : 0)),
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  table.push(...lines.map((line) => [...line]));
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

const BORDERLESS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat('mid', 'mid-mid', 'middle')
    .map((name) => [name, '']),
);

const ASCII = /^[ -~]*$/;

function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text);
}

/** A row is one line, whatever a description holds, as wide as it will be shown; an empty cell is `-`, as in fleet. */
function oneLine(text: string): string {
  const line = visible(text.replaceAll(/\s+/g, ' ').trim());
  return line === '' ? '-' : line;
}
