import stringWidth from 'string-width';
import { oneLine } from '../base/visible.ts';

/** What a terminal has room for, in characters. */
export type ScreenSize = { readonly columns: number; readonly rows: number };

/**
 * What fits on a screen: `body` between `head` and `foot`, which are always there; of a body that is too long a line
 * says how much is missing. The last row stays free for the cursor.
 */
export function fitScreen(
  head: readonly string[],
  body: readonly string[],
  foot: readonly string[],
  { columns, rows }: ScreenSize,
): readonly string[] {
  const room = Math.max(2, rows - 1 - head.length - foot.length);
  const hidden = body.length - room + 1;
  const shown =
    body.length <= room
      ? body
      : [...body.slice(0, room - 1), `… and ${hidden} more; in a pipe all are shown`];
  return [...head, ...shown, ...foot]
    .slice(0, Math.max(1, rows - 1))
    .map((line) => cutLine(oneLine(line), columns));
}

const ASCII = /^[ -~]*$/;

/** The beginning of a line that is `columns` wide, with characters of two columns kept whole. */
export function cutLine(line: string, columns: number): string {
  if (ASCII.test(line)) return line.slice(0, columns);
  let cut = '';
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    width += stringWidth(segment);
    if (width > columns) break;
    cut += segment;
  }
  return cut;
}
