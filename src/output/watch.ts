import type { FleetError } from '../base/errors.ts';
import { oneLine } from '../base/visible.ts';
import type { Listing } from '../operations/listing.ts';
import { formatDate } from './format.ts';
import { cutLine, type ScreenSize } from './progress.ts';
import { errorLines, missingLines } from './report.ts';

/** Shows each update of a watched listing, or its error. */
export type Viewer<Row> = {
  seen(listing: Listing<Row>): Promise<void>;
  failed(error: FleetError): void;
  /** After the last update. */
  end(): void;
};

/** The output of a watched listing. */
export type Canvas<Row> = {
  out(text: string): void;
  err(text: string): void;
  /** The text of a listing; each line ends with a newline. */
  render(listing: Listing<Row>): Promise<string>;
  /** Two listings with one signature count as unchanged; by default their text. */
  readonly signature?: (listing: Listing<Row>) => string | Promise<string>;
  /** Printed between listings in a pipe; by default an empty line. */
  readonly separator?: string;
};

/** Redraws the listing in place with every update. */
export function screenView<Row>(
  canvas: Canvas<Row>,
  screen: {
    size(): ScreenSize;
    draw(lines: readonly string[]): void;
    now(): number;
    readonly interval: string;
  },
): Viewer<Row> {
  let body: readonly string[] = [];
  const draw = (remarks: readonly string[]): void => {
    const head = [`${formatDate(screen.now())}, every ${screen.interval}`, ''];
    const foot = remarks.length === 0 ? [] : ['', ...remarks];
    screen.draw(fitScreen(head, body, foot, screen.size()));
  };
  return {
    async seen(listing) {
      body = (await canvas.render(listing)).split('\n').slice(0, -1);
      draw(missingLines(listing));
    },
    failed: (error) => draw(errorLines(error)),
    // Later output begins below the list.
    end: () => canvas.out('\n'),
  };
}

/** Prints the whole listing again when it has changed, for pipes and files. */
export function streamView<Row>(canvas: Canvas<Row>): Viewer<Row> {
  const { out, err, render, signature = render, separator = '\n' } = canvas;
  let shown: string | undefined;
  let remarked = '';
  const remark = (lines: readonly string[], about: string): void => {
    if (about !== remarked && lines.length > 0) err(`${lines.join('\n')}\n`);
    remarked = about;
  };
  return {
    async seen(listing) {
      const signed = await signature(listing);
      if (signed !== shown) out(`${shown === undefined ? '' : separator}${await render(listing)}`);
      shown = signed;
      // The warnings themselves have a duration, which changes with every update.
      const missing = [...listing.unreachable, ...listing.unreadable];
      remark(missingLines(listing), missing.map(({ message }) => message).join('\n'));
    },
    failed: (error) => remark(errorLines(error), error.message),
    end: () => undefined,
  };
}

/**
 * Fits `body` between `head` and `foot`, which are always shown. If lines of the body are left out, the last one has their
 * number. The last row stays free for the cursor.
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
