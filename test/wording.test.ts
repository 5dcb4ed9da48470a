import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const CHECKED = ['src', 'test', 'examples', '.ci', 'README.md', 'CHANGELOG.md'];

/** Words that are not standard technical English, with the alternative. */
const WORDS: readonly (readonly [word: RegExp, alternative: string])[] = [
  [/anew/, 'again, new'],
  [/nobody|no-one|no one/, 'no user, no process'],
  [/somebody|someone/, 'a user, another process'],
  [/who(?:so)?ever|whichever/, 'a user who, any'],
  [/reckon\w*/, 'calculate, assume, count'],
  [/(?:is|are|be|been|being|was|were) told/, 'gets, is reported, is named'],
  [/(?:let|lets|letting) go/, 'release, close'],
  [/(?:has|have|had) it that/, 'according to'],
  [/of (?:its|their|his|our|your) own/, 'own, separate'],
  [/hears?/, 'is notified, gets'],
  [/ever (?:more|less)/, 'increasingly'],
  [/for good/, 'permanently'],
  [/(?:put|puts|putting) (?:\w+ )?right/, 'repair, restore'],
  [/(?:take|takes|taken|taking|took) (?:it |them |what \w+ )?away/, 'remove'],
  [/(?:go|goes|going|went|gone) on(?! [\d$])/, 'continue, keep running'],
  [/(?:come|comes) by/, 'get, arrive'],
  [/(?:stand|stands|standing|stood) still/, 'be frozen, stop'],
  [
    /(?<!there )(?:is|are) no (?:unit|machine|name|number|key|glob|shell|command|folder|silence|failure|change)/,
    'is not a',
  ],
  [/looks? like/, 'resembles, seems, has the form of'],
  [/(?:became|becomes) of/, 'the result, the outcome'],
  [/(?:speak|speaks|spoke) of/, 'is about, mentions'],
  [/in vain/, 'without effect, without success'],
  [/what (?:it|they) (?:says?|tells?|has|have) of/, 'its, their'],
  [/nothing of/, 'none of, no'],
  [/alike/, 'both, equally'],
  [/mute/, 'unreachable'],
  [/mends?/, 'fix, repair'],
  [/bur(?:y|ies|ied)/, 'remove, retire'],
  [/ere|hence|thereby|therein|thereof|whereby|whence|albeit|lest/, 'before, therefore, with this'],
];

const PATTERNS = WORDS.map(
  ([word, alternative]) => [new RegExp(`\\b(?:${word.source})\\b`, 'i'), alternative] as const,
);

/** Matches the lines that have any of the words, because one pattern is faster than all of them. */
const ANY = new RegExp(WORDS.map(([word]) => `\\b(?:${word.source})\\b`).join('|'), 'i');

/** Words that are allowed in a file or folder, because they are names. */
const ALLOWED: readonly (readonly [path: string, word: string])[] = [
  ['test/ssh-config/', 'nobody'],
  ['test/ssh/conformance.test.ts', 'nobody'],
  ['test/support/process.ts', 'nobody'],
  ['test/e2e/disk.test.ts', 'nobody'],
  ['test/wording.test.ts', ''],
];

describe('the text of the project', () => {
  it('has standard technical English', () => {
    const findings = CHECKED.flatMap(filesOf).flatMap((file) =>
      findingsIn(file, readFileSync(resolve(ROOT, file), 'utf8')),
    );
    expect(findings).toEqual([]);
  });

  it('is checked line by line, with an alternative for each word', () => {
    expect(findingsIn('a.md', 'fine\nIt is told anew.\nno manewvre')).toEqual([
      'a.md:2: "anew": again, new',
      'a.md:2: "is told": gets, is reported, is named',
    ]);
    expect(findingsIn('test/e2e/disk.test.ts', 'nobody goes on')).toEqual([
      'test/e2e/disk.test.ts:1: "goes on": continue, keep running',
    ]);
  });
});

/** The file, or all files of the folder. */
function filesOf(path: string): readonly string[] {
  if (statSync(resolve(ROOT, path)).isFile()) return [path];
  return readdirSync(resolve(ROOT, path), { withFileTypes: true }).flatMap(({ name }) =>
    filesOf(join(path, name)),
  );
}

function findingsIn(file: string, text: string): readonly string[] {
  return text.split('\n').flatMap((line, index) =>
    (ANY.test(line) ? PATTERNS : []).flatMap(([pattern, alternative]) => {
      const word = pattern.exec(line)?.[0];
      const isAllowed = ALLOWED.some(
        ([path, allowed]) => file.startsWith(path) && (allowed === '' || allowed === word?.toLowerCase()),
      );
      return word === undefined || isAllowed ? [] : [`${file}:${index + 1}: "${word}": ${alternative}`];
    }),
  );
}
