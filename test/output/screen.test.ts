import { describe, expect, it } from 'vitest';
import { cutLine, fitScreen } from '../../src/output/screen.ts';

const SIZE = { columns: 20, rows: 8 };
const rows = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `row ${index}`);

describe('a screen', () => {
  it('shows all that fits, and keeps the last row for the cursor', () => {
    expect(fitScreen(['head'], rows(5), ['foot'], SIZE)).toEqual(['head', ...rows(5), 'foot']);
  });

  it('measures lines as they will be shown', () => {
    expect(fitScreen([], ['\u001b[2J\u202e\n'.repeat(4)], [], SIZE)).toEqual(['\\u001b[2J\\u202e\\n\\u0']);
  });

  it('says how much of a body is missing, and never lets head or foot go', () => {
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

  it('is fitted in a time that is linear in its rows', () => {
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
