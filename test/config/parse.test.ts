import { describe, expect, it } from 'vitest';
import { parseSections } from '../../src/config/parse.ts';

function read(written: string): string | undefined {
  return parseSections('f', `key = ${written}`).get('')?.settings.get('key')?.value;
}

describe('a value arrives as written', () => {
  it.each([
    ['nothing', '', ''],
    ['words', 'two  words', 'two  words'],
    ['what ini takes for a boolean', 'true', 'true'],
    ['what ini takes for null', 'null', 'null'],
    ['a number', '007', '007'],
    ['equals signs', 'a=b=c', 'a=b=c'],
    ['a backslash', 'CORP\\alice', 'CORP\\alice'],
    ['a last backslash', 'C:\\', 'C:\\'],
    ['quotes within', 'say "x"', 'say "x"'],
    ['an apostrophe within', "o'neill", "o'neill"],
    ['brackets', '[x]', '[x]'],
    ['a variable, not expanded', '$HOME', '$HOME'],
    ['other letters', 'grün 🚀', 'grün 🚀'],
    ['quoted: comment signs', '"a ; b # c"', 'a ; b # c'],
    ['quoted: blanks around', '"  a  "', '  a  '],
    ['quoted: nothing', '""', ''],
    ['quoted: escapes of JSON', '"\\"\\\\\\u00fc"', '"\\ü'],
    ['quoted: what ini takes for a boolean', '"true"', 'true'],
    ['quoted: an apostrophe', '"it\'s"', "it's"],
    ['a comment after blanks', 'a ; b', 'a'],
    ['a comment with #, after a tab', 'a\t# b', 'a'],
    ['a comment after quotes', '"a;" ; "b"', 'a;'],
    ['a comment right after quotes', '"a"#b', 'a'],
    ['only a comment', '; a', ''],
  ])('%s', (_, written, value) => {
    expect(read(written)).toBe(value);
  });
});

it('keeps sections and keys in file order, with their lines', () => {
  const sections = parseSections('f', 'b=1\n\n; c\na = 2\n[x.y.z] # c\n 10 = 3\n2 = 4\n[a]\n');
  const seen = [...sections.values()].map(({ name, line, settings }) => [
    name,
    line,
    [...settings.values()].map(({ key, value, line: at }) => [key, value, at]),
  ]);
  expect(seen).toEqual([
    [
      '',
      0,
      [
        ['b', '1', 1],
        ['a', '2', 4],
      ],
    ],
    [
      'x.y.z',
      5,
      [
        ['10', '3', 6],
        ['2', '4', 7],
      ],
    ],
    ['a', 8, []],
  ]);
});

it('reads a hundred thousand lines without getting slower by the line', () => {
  const text = Array.from({ length: 100_000 }, (_, i) => (i % 2 === 0 ? `[s${i}]` : `k${i}=1`)).join('\n');
  expect(parseSections('f', text).size).toBe(50_001);
});
