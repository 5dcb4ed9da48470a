import type { FleetError } from '../base/errors.ts';
import type { Listing } from '../operations/unreachable.ts';
import { timeText } from './amount.ts';
import { errorLines, missingLines } from './report.ts';
import { fitScreen, type ScreenSize } from './screen.ts';

/** Where a view that is renewed goes, and how one listing is written. */
export type Canvas<Row> = {
  out(text: string): void;
  err(text: string): void;
  /** The text of a listing, each line with its end. */
  render(listing: Listing<Row>): string;
  /** What two listings share when nothing has changed; their text unless given. */
  readonly signature?: (listing: Listing<Row>) => string;
};

/** The same place on a screen, drawn again for every look. */
export function screenView<Row>(
  canvas: Canvas<Row>,
  screen: {
    size(): ScreenSize;
    draw(lines: readonly string[]): void;
    now(): number;
    readonly interval: string;
  },
) {
  let body: readonly string[] = [];
  const draw = (remarks: readonly string[]): void => {
    const head = [`${timeText(screen.now())}, every ${screen.interval}`, ''];
    const foot = remarks.length === 0 ? [] : ['', ...remarks];
    screen.draw(fitScreen(head, body, foot, screen.size()));
  };
  return {
    seen(listing: Listing<Row>): void {
      body = canvas.render(listing).split('\n').slice(0, -1);
      draw(missingLines(listing));
    },
    failed: (error: FleetError): void => draw(errorLines(error)),
    /** The screen stays as it is, and whatever comes next begins below. */
    end: (): void => canvas.out('\n'),
  };
}

/** For pipes and files: the whole listing again, after an empty line or what `between` says, whenever it is another. */
export function streamView<Row>(canvas: Canvas<Row>, between = '\n') {
  let shown: string | undefined;
  let remarked = '';
  const remark = (lines: readonly string[], about: string): void => {
    if (about !== remarked && lines.length > 0) canvas.err(`${lines.join('\n')}\n`);
    remarked = about;
  };
  return {
    seen(listing: Listing<Row>): void {
      const signature = (canvas.signature ?? canvas.render)(listing);
      if (signature !== shown) canvas.out(`${shown === undefined ? '' : between}${canvas.render(listing)}`);
      shown = signature;
      // How long they have been silent changes all the time.
      const missing = [...listing.unreachable, ...listing.unreadable];
      remark(missingLines(listing), missing.map(({ message }) => message).join('\n'));
    },
    failed: (error: FleetError): void => remark(errorLines(error), error.message),
    end: (): void => undefined,
  };
}
