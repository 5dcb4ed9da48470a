import Table from 'cli-table3';
import stringWidth from 'string-width';

/** The number of columns that a text takes on a terminal: Chinese characters and emoji take two. */
export const widthOf: (text: string) => number = stringWidth;

/** The most texts that are drawn with cli-table3: it takes 50 µs for each, and in large tables more. */
const MOST_DRAWN = 100;

/** Every text with the same padded to `width` columns of a terminal, which none exceeds. */
export function padWide(texts: readonly string[], width: number): ReadonlyMap<string, string> {
  const different = [...new Set(texts)];
  const padded =
    different.length > MOST_DRAWN
      ? different.map((text) => text + ' '.repeat(width - widthOf(text)))
      : drawColumn(different, width);
  return new Map(different.map((text, index) => [text, padded[index] ?? text]));
}

function drawColumn(texts: readonly string[], width: number): readonly string[] {
  const table = new Table({
    chars: BORDERLESS,
    colWidths: [width],
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  table.push(...texts.map((text) => [text]));
  return table.toString().split('\n');
}

const BORDERLESS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat('mid', 'mid-mid', 'middle')
    .map((name) => [name, '']),
);
