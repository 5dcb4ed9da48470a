import Table from 'cli-table3';
import stringWidth from 'string-width';
import { visible } from '../../src/base/visible.ts';

/** What `renderTable` prints, drawn by cli-table3 alone. `lines` are the titles, where they are shown, and the cells. */
export function cliTable(lines: readonly (readonly string[])[], leasts: readonly number[] = []): string {
  const shown = lines.map((line) => line.map((cell) => visible(cell.replaceAll(/\s+/g, ' ').trim()) || '-'));
  const widths = (lines[0] ?? []).map((_, index) =>
    Math.max(leasts[index] ?? 0, ...shown.map((line) => stringWidth(line[index] ?? ''))),
  );
  const table = new Table({
    chars: NO_BORDERS,
    colWidths: widths.map((width, index) => (index < widths.length - 1 ? width + 2 : width)),
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  table.push(...shown.map((line) => [...line]));
  if (lines.length === 0) return '';
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

const NO_BORDERS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat('mid', 'mid-mid', 'middle')
    .map((name) => [name, '']),
);
