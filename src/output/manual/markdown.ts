/** Text of one style. `target` is the unchanged target of a link. */
export type Span = {
  readonly style: 'plain' | 'code' | 'strong' | 'link';
  readonly text: string;
  readonly target?: string;
};

export type Spans = readonly Span[];

/** A part of a page. `marker` of an item is `-` or a number with a full stop. */
export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly spans: Spans }
  | { readonly kind: 'paragraph'; readonly spans: Spans }
  | { readonly kind: 'item'; readonly marker: string; readonly spans: Spans }
  | { readonly kind: 'code'; readonly lines: readonly string[] }
  | {
      readonly kind: 'table';
      readonly titles: readonly Spans[];
      readonly rows: readonly (readonly Spans[])[];
    };

/**
 * Reads the part of Markdown that the manual uses: headings, paragraphs, lists of one level, tables, fenced code, and
 * inline code, strong text and links.
 */
export function parseMarkdown(text: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = text.split('\n');
  while (lines.length > 0) {
    const line = lines.shift() ?? '';
    if (line === '') continue;
    if (line.startsWith('```')) {
      blocks.push({ kind: 'code', lines: takeWhile(lines, (each) => each !== '```') });
      lines.shift();
    } else if (line.startsWith('|')) {
      // The line of dashes below the titles.
      lines.shift();
      const rows = takeWhile(lines, (each) => each.startsWith('|')).map(cellsOf);
      blocks.push({ kind: 'table', titles: cellsOf(line), rows });
    } else {
      blocks.push(textBlock([line, ...takeWhile(lines, continues)].map((each) => each.trim()).join(' ')));
    }
  }
  return blocks;
}

const START = /^(?:(#+)|(-|\d+\.)) /;

function continues(line: string): boolean {
  return line !== '' && !START.test(line) && !/^(?:```|\|)/.test(line);
}

function textBlock(text: string): Block {
  const [start = '', hashes, marker] = START.exec(text) ?? [];
  const spans = parseSpans(text.slice(start.length));
  if (hashes !== undefined) return { kind: 'heading', level: hashes.length, spans };
  return marker === undefined ? { kind: 'paragraph', spans } : { kind: 'item', marker, spans };
}

/** Takes lines from the front. */
function takeWhile(lines: string[], holds: (line: string) => boolean): string[] {
  const end = lines.findIndex((line) => !holds(line));
  return lines.splice(0, end < 0 ? lines.length : end);
}

/** A `\|` in a cell is not a border. */
function cellsOf(row: string): readonly Spans[] {
  const cells = row.slice(1, -1).split(/(?<!\\)\|/);
  return cells.map((cell) => parseSpans(cell.trim().replaceAll('\\|', '|')));
}

const SPAN = /`([^`]+)`|\*\*(.+?)\*\*|\[([^\]]+)\]\(([^)]+)\)/g;

function parseSpans(text: string, style: 'plain' | 'strong' = 'plain'): Spans {
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(SPAN)) {
    const [whole, code, strong, link, target] = match;
    if (match.index > end) spans.push({ style, text: text.slice(end, match.index) });
    if (code !== undefined) spans.push({ style: 'code', text: code });
    if (strong !== undefined) spans.push(...parseSpans(strong, 'strong'));
    if (link !== undefined && target !== undefined) spans.push({ style: 'link', text: link, target });
    end = match.index + whole.length;
  }
  if (end < text.length) spans.push({ style, text: text.slice(end) });
  return spans;
}

/** The topic of a link; undefined for a link to another kind of page. */
export function linkedTopic({ target = '' }: Span): string | undefined {
  return /^([\w-]+)\.md$/.exec(target)?.[1];
}

/** The topics that a page links to, each once, in order. */
export function linkedTopics(blocks: readonly Block[]): readonly string[] {
  const spans = blocks.flatMap((block) => {
    if (block.kind === 'table') return block.rows.flat(2);
    return block.kind === 'code' ? [] : block.spans;
  });
  return [...new Set(spans.flatMap((span) => linkedTopic(span) ?? []))];
}
