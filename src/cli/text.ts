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
