import { type Block, linkedTopic, linkedTopics, parseMarkdown, type Span, type Spans } from './markdown.ts';

/** A page of the manual as text of at most `width` columns; code lines are not wrapped. */
export function pageText(markdown: string, width: number): string {
  const blocks = parseMarkdown(markdown);
  const topics = linkedTopics(blocks);
  const parts = blocks.map((block, index) => {
    const isNextItem = block.kind === 'item' && blocks[index - 1]?.kind === 'item';
    return [...(index === 0 || isNextItem ? [] : ['']), ...blockLines(block, width)];
  });
  const more =
    topics.length === 0 ? [] : ['', ...wrap(`See also: fleetctl help ${topics.join(', ')}`, width)];
  return [...parts.flat(), ...more, ''].join('\n');
}

function blockLines(block: Block, width: number): readonly string[] {
  switch (block.kind) {
    case 'heading':
      return [block.level === 1 ? plain(block.spans).toUpperCase() : plain(block.spans)];
    case 'paragraph':
      return wrap(plain(block.spans), width, INDENT);
    case 'item': {
      const marker = `${INDENT}${block.marker} `;
      return wrap(plain(block.spans), width, marker, ' '.repeat(marker.length));
    }
    case 'code':
      return block.lines.map((line) => (line === '' ? '' : `${INDENT}${INDENT}${line}`));
    case 'table':
      return block.rows.flatMap((row) => rowLines(row, block.titles, width));
  }
}

const INDENT = '  ';

/** The first cell as a term, the others below it; a table of more than two columns needs their titles. */
function rowLines(row: readonly Spans[], titles: readonly Spans[], width: number): readonly string[] {
  const [term = [], ...cells] = row;
  const below = cells.flatMap((cell, index) => {
    const title = titles.length > 2 ? `${plain(titles[index + 1] ?? [])}: ` : '';
    const rest = INDENT.repeat(title === '' ? 3 : 4);
    return cell.length === 0 ? [] : wrap(`${title}${plain(cell)}`, width, INDENT.repeat(3), rest);
  });
  return [...wrap(plain(term), width, INDENT), ...below];
}

function plain(spans: Spans): string {
  return spans.map(spanText).join('');
}

function spanText(span: Span): string {
  const { style, text, target } = span;
  if (style === 'code') return `\`${text}\``;
  if (target === undefined) return text;
  const topic = linkedTopic(span);
  if (topic === undefined) return `${text} (${target.replace(/^(?:\.\.\/)+/, '')})`;
  return text.toLowerCase() === topic ? `"${text}"` : `${text} ("${topic}")`;
}

function wrap(text: string, width: number, first = '', rest = first): readonly string[] {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = rest;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}
