import { oneLine, visible } from '../base/visible.ts';

/** A part of a text in a colour of fleet's own: a parameter of SGR, such as 36. */
export type Coloured = { readonly text: string; readonly colour: number };

/** What people read. */
export type Text = string | readonly (string | Coloured)[];

/** The bytes of a text for a terminal, a pipe or a log: no control sequence in them but the colours of fleet. */
export function render(text: Text): string {
  if (typeof text === 'string') return visible(text);
  return text.map((part) => (typeof part === 'string' ? visible(part) : coloured(part))).join('');
}

/** Lines as a text: what is given as one line is one. */
export function textOfLines(lines: readonly Text[]): Text {
  return lines.flatMap((line) => [
    ...(typeof line === 'string' ? [line] : line).map((part) =>
      typeof part === 'string' ? oneLine(part) : { ...part, text: oneLine(part.text) },
    ),
    '\n',
  ]);
}

/** Home, the lines, each with what was there before it wiped away, and nothing below: no flicker, nothing to undo. */
export function drawScreen(lines: readonly string[]): string {
  return `\u001b[H${lines.map((line) => `${oneLine(line)}\u001b[K\n`).join('')}\u001b[J`;
}

function coloured({ text, colour }: Coloured): string {
  return `\u001b[${colour}m${visible(text)}\u001b[0m`;
}

/** A terminal that lines are drawn on. */
type Terminal = {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
};

/** A line, and how many columns it takes. */
export type LiveLine = { readonly text: string; readonly width: number };

/**
 * Lines at the end of what a terminal shows that are drawn again in their place, and leave nothing behind. The cursor
 * stays visible, below them: there is nothing to restore when the process is killed.
 */
export class LiveArea {
  readonly #terminal: Terminal;
  #lines: readonly LiveLine[] = [];
  #isHeld: boolean = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** The size of the terminal, in characters; the classic one where it does not say. */
  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#terminal.columns || 80, rows: this.#terminal.rows || 24 };
  }

  show(lines: readonly LiveLine[]): void {
    if (this.#isHeld || textOf(lines) === textOf(this.#lines)) return;
    // In one piece, so that nothing flickers.
    this.#terminal.write(`${this.#erasing()}${textOf(lines)}`);
    this.#lines = lines;
  }

  clear(): void {
    this.show([]);
  }

  /** Nothing is shown while `work` has the terminal. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.clear();
    this.#isHeld = true;
    try {
      return await work();
    } finally {
      this.#isHeld = false;
    }
  }

  /** A window that has become narrower since has wrapped the lines. */
  #erasing(): string {
    const { columns } = this.size;
    const rows = this.#lines.reduce((sum, { width }) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return rows === 0 ? '' : `\x1b[${rows}A\r\x1b[J`;
  }
}

function textOf(lines: readonly LiveLine[]): string {
  return lines.map(({ text }) => `${oneLine(text)}\n`).join('');
}
