import { oneLine, visible } from '../base/visible.ts';

/** A part of a text in a colour of fleet's own: a parameter of SGR, such as 36. */
export type Coloured = { readonly text: string; readonly colour: number };

/** A text for people, with colours. */
export type Text = string | readonly (string | Coloured)[];

/** The bytes of a text: the colours of fleet are its only control sequences. */
export function render(text: Text): string {
  if (typeof text === 'string') return visible(text);
  return text.map((part) => (typeof part === 'string' ? visible(part) : coloured(part))).join('');
}

/** A text without its colours. */
export function plain(text: Text): string {
  if (typeof text === 'string') return text;
  return text.map((part) => (typeof part === 'string' ? part : part.text)).join('');
}

/** Lines as a text; a newline in a line is made visible. */
export function textOfLines(lines: readonly Text[]): Text {
  return lines.flatMap((line) => [
    ...(typeof line === 'string' ? [line] : line).map((part) =>
      typeof part === 'string' ? oneLine(part) : { ...part, text: oneLine(part.text) },
    ),
    '\n',
  ]);
}

/** Draws lines from the top of the screen. Each line is erased only when it is replaced, so nothing flickers. */
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

/** A line and its width in columns. */
export type LiveLine = { readonly text: string; readonly width: number };

/**
 * Temporary lines at the end of a terminal that are redrawn in place. The cursor stays visible below them, so nothing
 * must be restored if the process is killed.
 */
export class LiveArea {
  readonly #terminal: Terminal;
  #lines: readonly LiveLine[] = [];
  #isHeld: boolean = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** The size of the terminal, in characters; 80 by 24 if it is unknown. */
  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#terminal.columns || 80, rows: this.#terminal.rows || 24 };
  }

  show(lines: readonly LiveLine[]): void {
    if (this.#isHeld || textOf(lines) === textOf(this.#lines)) return;
    // One write, so that nothing flickers.
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
