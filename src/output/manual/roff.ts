import { type Block, linkedTopic, parseMarkdown, type Span, type Spans } from './markdown.ts';

/** A man page: `# TITLE` of its Markdown is left out, `##` begins a section. */
export type ManPage = {
  readonly name: string;
  readonly section: number;
  readonly version: string;
  readonly markdown: string;
};

/** The source of a man page for the `an` macros of groff and mandoc. */
export function manPage({ name, section, version, markdown }: ManPage): string {
  const blocks = parseMarkdown(markdown).filter((block) => block.kind !== 'heading' || block.level > 1);
  const head = `.TH "${name.toUpperCase()}" "${section}" "" "fleet ${version}" ""`;
  // No hyphenation, and no adjustment: option names and paths stay whole.
  return `${[head, '.nh', '.ad l', ...blocks.flatMap(blockLines)].join('\n')}\n`;
}

function blockLines(block: Block): readonly string[] {
  switch (block.kind) {
    case 'heading': {
      const title = block.spans.map(({ text }) => text).join('');
      return block.level === 2 ? [`.SH "${roffText(title.toUpperCase())}"`] : [`.SS "${roffText(title)}"`];
    }
    case 'paragraph':
      return ['.PP', line(block.spans)];
    case 'item':
      return [`.IP "${block.marker === '-' ? '\\(bu' : block.marker}" 4`, line(block.spans)];
    case 'code':
      return ['.PP', '.RS 4', '.nf', ...block.lines.map(textLine), '.fi', '.RE'];
    case 'table':
      return block.rows.flatMap((row) => rowLines(row, block.titles));
  }
}

function rowLines([term = [], ...cells]: readonly Spans[], titles: readonly Spans[]): readonly string[] {
  const below = cells.flatMap((cell, index) => {
    if (cell.length === 0) return [];
    const title =
      titles.length > 2 ? [...(titles[index + 1] ?? []), { style: 'plain', text: ': ' } as const] : [];
    return [...(index === 0 ? [] : ['.br']), line([...title, ...cell])];
  });
  return ['.TP', line(term), ...(below.length === 0 ? ['\\&'] : below)];
}

function line(spans: Spans): string {
  return guard(spans.map(spanText).join(''));
}

function spanText(span: Span): string {
  const text = roffText(span.text);
  if (span.style === 'code' || span.style === 'strong') return `\\fB${text}\\fR`;
  if (span.target === undefined) return text;
  return linkedTopic(span) === undefined ? `${text} (${roffText(span.target)})` : `\\fI${text}\\fR`;
}

function textLine(text: string): string {
  return guard(roffText(text));
}

/** A line that begins with a full stop or an apostrophe would be a request. */
function guard(text: string): string {
  return /^[.']/.test(text) ? `\\&${text}` : text;
}

/** Escapes characters that roff would interpret, and those that are not ASCII. */
function roffText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replace(/[-'"`^~]/g, (char) => ESCAPES[char] ?? char)
    .replace(
      /[^\n -~]/gu,
      (char) => `\\[u${char.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}

const ESCAPES: Readonly<Record<string, string>> = {
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};
