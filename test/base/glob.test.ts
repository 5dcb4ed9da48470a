import { describe, expect, it } from 'vitest';
import { globMatcher, globProblem, isGlob, matchesGlob } from '../../src/base/glob.ts';

describe('matchesGlob', () => {
  it.each([
    ['spread@*.service', 'spread@1.service', true, 'a run stands for any text'],
    ['spread@*.service', 'spread@.service', true, 'a run may be empty'],
    ['spread@*.service', 'spread@1.socket', false, 'what follows a run has to fit'],
    ['spread@*.service', 'a-spread@1.service', false, 'the beginning is not free'],
    ['*', '', true, 'a run matches nothing at all'],
    ['*', 'a/b', false, 'a run stops at a slash'],
    ['a*/b', 'axx/b', true, 'a run before a slash'],
    ['a*b*c', 'aXbYbZc', true, 'two runs'],
    ['a*b*c', 'aXbYbZ', false, 'two runs and no end'],
    ['*ab', 'aab', true, 'a run gives back what it took too much'],
    ['**.service', 'a.service', true, 'two runs in a row are one'],
    ['web-?.service', 'web-1.service', true, 'one character'],
    ['web-?.service', 'web-.service', false, 'a question mark is never empty'],
    ['web-?.service', 'web-12.service', false, 'a question mark is one character'],
    ['?', '/', false, 'a question mark is no slash'],
    ['?', '☃', true, 'one character of several bytes'],
    ['?', '💡', true, 'one character of two code units'],
    ['web-[0-9].service', 'web-7.service', true, 'a range'],
    ['web-[0-9].service', 'web-x.service', false, 'outside the range'],
    ['[a-cx-z]', 'y', true, 'two ranges'],
    ['[abc]', 'b', true, 'single characters in a class'],
    ['[z-a]', 'm', false, 'a range that runs backwards holds nothing'],
    ['[^a]', 'b', true, 'a negated class'],
    ['[^a]', 'a', false, 'a negated class refuses its members'],
    ['[a^]', '^', true, 'a caret means itself unless it is first'],
    ['[!a]', 'b', false, 'an exclamation mark negates nothing'],
    ['[\\-x]', '-', true, 'an escaped dash in a class'],
    ['[\\]a]', ']', true, 'an escaped bracket in a class'],
    ['[☃]', '☃', true, 'a class of wide characters'],
    ['a\\*b', 'a*b', true, 'an escaped star is a star'],
    ['a\\*b', 'axb', false, 'an escaped star is no run'],
    ['a\\\\b', 'a\\b', true, 'an escaped backslash'],
    ['hello.service', 'hello.service', true, 'a plain name matches itself'],
    ['hello.service', 'hello-service', false, 'a dot is a dot'],
    ['foo\\x2dbar.service', 'foo\\x2dbar.service', true, 'a name from systemd-escape matches itself'],
    ['foo\\x2dbar.service', 'foox2dbar.service', false, 'and nothing else'],
    ['foo\\x2dbar@*.service', 'foo\\x2dbar@1.service', true, 'also in front of a run'],
    ['foo\\\\x2dbar.service', 'foo\\x2dbar.service', true, 'the way fleet had it written works too'],
    ['', '', true, 'nothing matches nothing'],
    ['', 'a', false, 'nothing matches nothing else'],
    ['a[', 'a[', false, 'a malformed pattern matches nothing, not even itself'],
  ])('%j on %j is %j: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
    expect(globMatcher(pattern)(text)).toBe(expected);
  });

  it('stays within bounds on a pattern that invites backtracking', () => {
    expect(matchesGlob(`${'a*'.repeat(100)}b`, 'a'.repeat(2000))).toBe(false);
  });
});

describe('globProblem', () => {
  it.each([
    ['a[', 'a "[" is not closed correctly'],
    ['a[b', 'a "[" is not closed correctly'],
    ['[]', 'a "[" is not closed correctly'],
    ['[]a]', 'a "[" is not closed correctly'],
    ['[^]', 'a "[" is not closed correctly'],
    ['[-x]', 'a "[" is not closed correctly'],
    ['[x-]', 'a "[" is not closed correctly'],
    ['[a\\', 'a "[" is not closed correctly'],
    ['a\\', 'it ends in a backslash'],
  ])('%j: %s', (pattern, problem) => {
    expect(globProblem(pattern)).toBe(problem);
  });

  it.each(['', '*', 'web-[0-9]@*.service', '[^a-z]', '[\\]\\-]', 'foo\\x2dbar', 'a]', '\\['])(
    '%j is well formed',
    (pattern) => {
      expect(globProblem(pattern)).toBeUndefined();
    },
  );
});

it('a pattern is at most 4096 characters long', () => {
  expect(globProblem('a'.repeat(4096))).toBeUndefined();
  expect(globProblem('a'.repeat(4097))).toBe('it has more than 4096 characters');
});

describe('isGlob', () => {
  it.each([
    ['web@*.service', true],
    ['web-?.service', true],
    ['web-[0-9].service', true],
    ['web-[', true],
    ['web.service', false],
    ['foo\\x2dbar.service', false],
    ['foo\\*bar', false],
    ['foo\\\\*bar', true],
    ['foo\\', false],
    ['', false],
  ])('%j is %j', (text, expected) => {
    expect(isGlob(text)).toBe(expected);
  });
});
