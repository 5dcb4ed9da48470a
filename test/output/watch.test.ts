import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { Listing } from '../../src/operations/listing.ts';
import { cutLine } from '../../src/output/progress.ts';
import { fitScreen, screenView, streamView } from '../../src/output/watch.ts';

const LOCKED = new FleetError('registry-locked', 'the registry is locked', { hint: 'Wait' });
const M1 = { name: 'm1', id: undefined, address: '10.0.0.1' };

const listing = (rows: readonly string[], silentMs?: number): Listing<string> => ({
  rows,
  unreachable:
    silentMs === undefined ? [] : [{ machine: M1, message: 'm1 is silent', hint: undefined, silentMs }],
  unreadable: [],
});

/** What is printed, on both streams in their order. */
function canvas() {
  const printed: string[] = [];
  return {
    printed,
    out: (text: string) => void printed.push(`out: ${text}`),
    err: (text: string) => void printed.push(`err: ${text}`),
    draw: (lines: readonly string[]) => void printed.push(lines.join('\n')),
    render: async ({ rows }: Listing<string>) => rows.map((row) => `${row}\n`).join(''),
  };
}

describe('in a pipe', () => {
  it('a list is printed again when it has changed, after an empty line', async () => {
    const paper = canvas();
    const view = streamView(paper);
    for (const rows of [['a'], ['a'], ['b'], ['b']]) await view.seen(listing(rows));
    expect(paper.printed).toEqual(['out: a\n', 'out: \nb\n']);
  });

  it('a signature says what has changed, and nothing stands between lines that are one each', async () => {
    const signature = ({ rows }: Listing<string>): string => String(rows[0]);
    const paper = { ...canvas(), signature, separator: '' };
    const view = streamView(paper);
    for (const rows of [
      ['a', '1'],
      ['a', '2'],
      ['b', '3'],
    ])
      await view.seen(listing(rows));
    expect(paper.printed).toEqual(['out: a\n1\n', 'out: b\n3\n']);
  });

  it('a machine that becomes unreachable is reported once, and again when it was back', async () => {
    const paper = canvas();
    const view = streamView(paper);
    for (const silentMs of [undefined, 0, 2000, 4000, undefined, 0])
      await view.seen(listing(['a'], silentMs));
    const warning = 'err: Warning: m1 is silent; the state of its units is unknown\n';
    expect(paper.printed).toEqual(['out: a\n', warning, warning]);
  });

  it('a failing poll is reported once as long as it fails', async () => {
    const paper = canvas();
    const view = streamView(paper);
    await view.seen(listing(['a']));
    view.failed(LOCKED);
    view.failed(LOCKED);
    await view.seen(listing(['a']));
    view.failed(LOCKED);
    const error = 'err: Error: The registry is locked\nhint: Wait\n';
    expect(paper.printed).toEqual(['out: a\n', error, error]);
  });
});

describe('on a screen', () => {
  const START = Date.UTC(2026, 10, 23, 6, 5, 41);
  const make = () => {
    const paper = canvas();
    const size = { columns: 60, rows: 12 };
    return {
      paper,
      view: screenView(paper, { size: () => size, draw: paper.draw, now: () => START, interval: '2s' }),
      size,
    };
  };
  const HEAD = '2026-11-23 06:05:41 UTC, every 2s\n\n';

  it('a list is drawn again with every poll', async () => {
    const { paper, view } = make();
    await view.seen(listing(['a']));
    await view.seen(listing(['a']));
    expect(paper.printed).toEqual(Array(2).fill(`${HEAD}a`));
  });

  it('silent machines stand below it', async () => {
    const { paper, view } = make();
    await view.seen(listing(['a'], 5000));
    expect(paper.printed[0]).toContain('a\n\nWarning: m1 is silent (unreachable for 5s); the state of its');
  });

  it('what was seen last stays while looks fail', async () => {
    const { paper, view } = make();
    await view.seen(listing(['a']));
    view.failed(LOCKED);
    expect(paper.printed[1]).toBe(`${HEAD}a\n\nError: The registry is locked\nhint: Wait`);
  });
});

const SIZE = { columns: 20, rows: 8 };
const rows = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `row ${index}`);

describe('a screen', () => {
  it('shows all that fits, and keeps the last row for the cursor', async () => {
    expect(fitScreen(['head'], rows(5), ['foot'], SIZE)).toEqual(['head', ...rows(5), 'foot']);
  });

  it('measures lines as they will be shown', async () => {
    expect(fitScreen([], ['\u001b[2J\u202e\n'.repeat(4)], [], SIZE)).toEqual(['\\u001b[2J\\u202e\\n\\u0']);
  });

  it('says how much of a body is missing, and never lets head or foot go', async () => {
    expect(fitScreen(['head'], rows(6), ['foot'], SIZE)).toEqual([
      'head',
      ...rows(4),
      '… and 2 more; in a p',
      'foot',
    ]);
  });

  it.each([1, 2, 3])('never has more lines than %d rows', (count) => {
    expect(
      fitScreen(['head', ''], rows(9), ['', 'foot'], { columns: 20, rows: count }).length,
    ).toBeLessThanOrEqual(Math.max(1, count - 1));
  });

  it('is fitted in a time that is linear in its rows', async () => {
    const started = performance.now();
    fitScreen([], rows(50_000), [], SIZE);
    // Quadratic, it takes minutes.
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

it.each([
  ['a short line', 'abc', 5, 'abc'],
  ['a long one', 'abcdefgh', 5, 'abcde'],
  ['wide characters, which are never halved', '日本語', 5, '日本'],
  ['what is written with several code points', 'e\u0301e\u0301e\u0301', 2, 'e\u0301e\u0301'],
])('cuts %s', (_, line, columns, cut) => {
  expect(cutLine(line, columns)).toBe(cut);
});
