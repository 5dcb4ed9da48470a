import { describe, expect, it } from 'vitest';
import { oneLine, quoted, visible } from '../../src/base/visible.ts';

describe('text that a terminal gets', () => {
  it.each([
    ['ASCII, tabs and newlines', 'a\tb\nc ~', 'a\tb\nc ~'],
    ['letters of all scripts', 'é 日本 עברית العربية e\u0301', 'é 日本 עברית العربية e\u0301'],
    ['emoji, joined and with selectors', '❤️ 👨‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣', '❤️ 👨‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣'],
    ['an escape sequence', '\u001b[2J\u001b]0;x\u0007', '\\u001b[2J\\u001b]0;x\\u0007'],
    ['a carriage return', 'bad\rError: fine', 'bad\\u000dError: fine'],
    ['NUL and DEL', '\0\u007f', '\\u0000\\u007f'],
    ['C1 controls', '\u0085\u009b31m', '\\u0085\\u009b31m'],
    ['bidi marks', '\u202egnp\u2066\u061c\u200f', '\\u202egnp\\u2066\\u061c\\u200f'],
    ['zero-width marks', 'a\u200bb\ufeffc\u00add\u3164', 'a\\u200bb\\ufeffc\\u00add\\u3164'],
    ['joiners and selectors alone', 'a\u200db\ufe0f', 'a\\u200db\\ufe0f'],
    ['separators of lines and paragraphs', '\u2028\u2029', '\\u2028\\u2029'],
    ['tags, in two units', '\u{e0041}', '\\udb40\\udc41'],
    ['half a surrogate pair', 'a\ud800', 'a\\ud800'],
  ])('%s', (_, text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  it('is one line where one is wanted', () => {
    expect(oneLine('a\nError: b\r\n')).toBe('a\\nError: b\\u000d\\n');
  });

  it('is the same JSON', () => {
    const value = { 'k\u202e': 'a\u009b\u200b\u2028\ud800\u{e0041}\u007f', next: ['\u001b', '"\\'] };
    const shown = visible(JSON.stringify(value, undefined, 2));
    expect(shown).not.toMatch(/[\u007f-\u009f\u200b\u2028\u202e]/);
    expect(JSON.parse(shown)).toEqual(value);
  });
});

describe('a quotation', () => {
  it.each([
    ['is in quotes', 'sudo: no', '"sudo: no"'],
    ['ends nowhere but at its end', 'a" Error: b', '"a\\" Error: b"'],
    ['is one line', 'a\nhint: rm\u001b', '"a\\nhint: rm\\u001b"'],
    ['keeps a backslash', 'foo\\x2dbar', '"foo\\x2dbar"'],
  ])('%s', (_, text, shown) => {
    expect(quoted(text)).toBe(shown);
  });

  it('is cut, and never within a character', () => {
    expect(quoted('x'.repeat(500))).toBe(`"${'x'.repeat(199)}…"`);
    expect(quoted('x'.repeat(200))).toBe(`"${'x'.repeat(200)}"`);
    expect(quoted(`${'x'.repeat(8)}😀yy`, 10)).toBe(`"${'x'.repeat(8)}…"`);
  });
});
