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

/** The spaces between two columns. */
const GAP = 2;

/** Columns padded with two spaces, no borders, no trailing spaces; every line ends with a newline. */
export async function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: TableOptions,
): Promise<string> {
  const drawn = await Promise.all(
    columns.map(({ field, value }, index) => {
      const cells = rows.map((row) => oneLine(value(row, options)));
      if (options.legend) cells.unshift(field.toUpperCase());
      // Nothing comes after the last column.
      return index === columns.length - 1 ? cells : padColumn(cells, options.widths?.[index] ?? 0);
    }),
  );
  const [first = [], ...others] = drawn;
  return first.map((cell, line) => `${others.reduce((text, cells) => text + cells[line], cell)}\n`).join('');
}

const ASCII = /^[ -~]*$/;
/** The usual cell, which stays as it is. */
const WORDS = /^[!-~]+(?: [!-~]+)*$/;

/** The cells, all as wide as the widest of them, which has at least `least` columns of a terminal, and the gap. */
async function padColumn(cells: readonly string[], least: number): Promise<readonly string[]> {
  const wide = cells.filter((cell) => !ASCII.test(cell));
  const narrow = wide.length === 0 ? cells : cells.filter((cell) => ASCII.test(cell));
  const width = narrow.reduce((widest, { length }) => Math.max(widest, length), least);
  if (wide.length === 0) return cells.map((cell) => cell.padEnd(width + GAP));
  const { padWide, widthOf } = await import('./wide-text.ts');
  const total = wide.reduce((widest, cell) => Math.max(widest, widthOf(cell)), width) + GAP;
  const padded = padWide(wide, total);
  return cells.map((cell) => padded.get(cell) ?? cell.padEnd(total));
}

/** A row is one line, whatever a description holds, as wide as it will be shown; an empty cell is `-`, as in fleet. */
function oneLine(text: string): string {
  if (WORDS.test(text)) return text;
  const line = visible(text.replaceAll(/\s+/g, ' ').trim());
  return line === '' ? '-' : line;
}
