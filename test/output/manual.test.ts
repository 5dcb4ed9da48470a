import { describe, expect, it } from 'vitest';
import { manPage } from '../../src/output/manual/roff.ts';
import { pageText } from '../../src/output/manual/text.ts';

const PAGE = `# The title

A paragraph with \`code\`, **strong \`words\`**, a
[topic](units.md), [units](units.md) and [another page](../../examples/README.md).

1. first
2. second, which is
   longer

\`\`\`ini
[Service]

Nice=1
\`\`\`

| key | meaning |
|---|---|
| \`a\\|b\` | Either. |
| \`c\` | |
`;

it('a page is text that is wrapped', () => {
  expect(pageText(PAGE, 40)).toBe(`THE TITLE

  A paragraph with \`code\`, strong
  \`words\`, a topic ("units"), "units"
  and another page (examples/README.md).

  1. first
  2. second, which is longer

    [Service]

    Nice=1

  \`a|b\`
      Either.
  \`c\`

See also: fleetctl help units
`);
});

it('a table of more columns has their titles', () => {
  expect(pageText('| key | default | meaning |\n|---|---|---|\n| `a` | 1 | It. |', 40)).toBe(
    '  `a`\n      default: 1\n      meaning: It.\n',
  );
});

describe('a man page', () => {
  const roff = (markdown: string): readonly string[] =>
    manPage({ name: 'x', section: 1, version: '1.0', markdown }).trimEnd().split('\n').slice(3);

  it('has a title line without a date', () => {
    expect(manPage({ name: 'x', section: 1, version: '1.0', markdown: '' })).toBe(
      '.TH "X" "1" "" "fleet 1.0" ""\n.nh\n.ad l\n',
    );
  });

  it.each([
    ['sections', '# no\n\n## One "a"\n\n### Two', ['.SH "ONE \\(dqA\\(dq"', '.SS "Two"']],
    ['styles', 'a `--b` **c** [d](d.md)', ['.PP', 'a \\fB\\-\\-b\\fR \\fBc\\fR \\fId\\fR']],
    ['a backslash', 'a `\\u001b`', ['.PP', 'a \\fB\\eu001b\\fR']],
    ['no requests from the text', ".x\n\n'y'", ['.PP', '\\&.x', '.PP', '\\(aqy\\(aq']],
    ['other characters', 'a…', ['.PP', 'a\\[u2026]']],
    ['lists', '- a\n\n1. b', ['.IP "\\(bu" 4', 'a', '.IP "1." 4', 'b']],
    ['code', '```sh\n.a\n```', ['.PP', '.RS 4', '.nf', '\\&.a', '.fi', '.RE']],
    ['tables', '| k | m |\n|---|---|\n| a | b |\n| c | |', ['.TP', 'a', 'b', '.TP', 'c', '\\&']],
  ])('has %s', (_, markdown, lines) => {
    expect(roff(markdown)).toEqual(lines);
  });
});
