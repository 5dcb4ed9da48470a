import { describe, expect, it } from 'vitest';
import { differenceLines } from '../../src/output/difference.ts';

/** The lines of the diff between two texts, without its two lines of names. */
function body(registryText: string, fileText: string): readonly string[] {
  return differenceLines({ unit: 'a.service', path: '/home/me/a.service', registryText, fileText }).slice(2);
}

describe('a file that differs from the registry', () => {
  it('is shown as a unified diff, from the registry to the file', () => {
    expect(
      differenceLines({
        unit: 'a.service',
        path: '/home/me/a.service',
        registryText: '[Service]\nExecStart=/bin/a\n',
        fileText: '[Service]\nExecStart=/bin/b\n',
      }),
    ).toEqual([
      '--- registry:a.service',
      '+++ /home/me/a.service',
      '@@ -1,2 +1,2 @@',
      ' [Service]',
      '-ExecStart=/bin/a',
      '+ExecStart=/bin/b',
    ]);
  });

  it.each([
    [
      'three lines around a change',
      'a\nb\nc\nd\ne\n',
      'a\nb\nc\nd\nE\n',
      ['@@ -2,4 +2,4 @@', ' b', ' c', ' d', '-e', '+E'],
    ],
    [
      'that a newline is missing at the end',
      'a\n',
      'a',
      ['@@ -1,1 +1,1 @@', '-a', '+a', '\\ No newline at end of file'],
    ],
    ['tabs as they are', 'a\n', '\tb\n', ['@@ -1,1 +1,1 @@', '-a', '+\tb']],
    ['line ends of Windows', 'a\n', 'a\r\n', ['@@ -1,1 +1,1 @@', '-a', '+a\r']],
  ])('shows %s', (_, registryText, fileText, lines) => {
    expect(body(registryText, fileText)).toEqual(lines);
  });

  it('is not compared to the end when nearly everything differs', () => {
    const many = (word: string): string => Array.from({ length: 5000 }, (_, i) => `${word}${i}\n`).join('');
    const file = { unit: 'a.service', path: '/a.service', registryText: many('a'), fileText: many('b') };
    expect(differenceLines(file)).toEqual([
      'More than 2000 lines differ between "/a.service" and the registry',
    ]);
  });
});
