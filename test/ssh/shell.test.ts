import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { encodeForPrintf, quote } from '../../src/ssh/shell.ts';

/** Every shell of this machine that may stand behind /bin/sh. */
const SHELLS = (
  [['/bin/sh'], ['/bin/dash'], ['/bin/bash', '--posix'], ['/bin/busybox', 'sh'], ['/bin/mksh']] as const
)
  .filter(([path]) => existsSync(path))
  .map((shell) => ({ shell, name: shell.join(' ') }));

/** Where printf is a program, Linux limits its arguments to 128 KiB, including the final NUL. */
const LONGEST_ARGUMENT = 128 * 1024 - 1;
const BUILT_IN_PRINTF = SHELLS.filter(({ name }) => name !== '/bin/mksh');

const TEXTS: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['a plain word', 'hello.service'],
  ['spaces at both ends', '  a  b  '],
  ['a tilde, which a shell would expand', '~root'],
  ['globs', '* ? [a-z] {a,b}'],
  ['both quotes, one after another', `'"'"''""'`],
  ['a command substitution', '$(touch /tmp/never) `id` $HOME'],
  ['backslashes, at the end too', '\\ \\\\ \\n \\0101 \\c \\'],
  ['printf conversions', '%s %d %% %b'],
  ['newlines, at the end too', '\na\n\nb\n\n'],
  ['carriage return, tab, escape, delete', '\r\t\x1b[31m\x7f'],
  ['text that is not ASCII', 'grüße, 日本語, 🚢, \u0301'],
  ['an octal escape followed by digits', '\u00011\u000777é7'],
  ['history and job control characters', '!! ^a^b & ; | < > #'],
  ['an option', '-n'],
  ['an assignment', 'PATH=/nowhere'],
  [
    'every byte but NUL as a code point',
    String.fromCodePoint(...Array.from({ length: 255 }, (_, i) => i + 1)),
  ],
  ['a script with a here-document', 'cat <<\'E\' | sh\necho "$1"\nE\n'],
];

describe.each(SHELLS)('$name', ({ shell }) => {
  test.each(TEXTS)('gives back %s', (_, text) => {
    expect(throughQuote(shell, [text])).toEqual([text]);
    expect(throughPrintf(shell, text)).toBe(text);
  });

  test('gives back 200 seeded mixtures of awkward characters', () => {
    const texts = mixtures(200);
    expect(throughQuote(shell, texts)).toEqual(texts);
    expect(throughPrintf(shell, texts.join('\n'))).toBe(texts.join('\n'));
  });
});

test.each(BUILT_IN_PRINTF)('a line of 1 MB goes through $name', ({ shell }) => {
  const text = `it's ${'$(x) `y` "z" \\ ü'.repeat(64 * 1024)}`;
  expect(Buffer.byteLength(text)).toBeGreaterThan(1024 * 1024);
  expect(throughQuote(shell, [text])).toEqual([text]);
  expect(throughPrintf(shell, text)).toBe(text);
});

test.each(SHELLS)('the longest argument of a program goes through $name', ({ shell }) => {
  const text = 'a'.repeat(LONGEST_ARGUMENT);
  expect(throughPrintf(shell, text)).toBe(text);
});

test('a NUL travels encoded and is refused as a word', () => {
  expect(throughPrintf(['/bin/sh'], 'a\0b\x001')).toBe('a\0b\x001');
  expect(() => quote('a\0b')).toThrow(RangeError);
});

test('plain words stay as they are', () => {
  expect(quote('a_B-9@%+=:,./')).toBe('a_B-9@%+=:,./');
  expect(quote('')).toBe("''");
  expect(quote("it's")).toBe(String.raw`'it'\''s'`);
});

test('an encoded text is one line of printable ASCII', () => {
  for (const [, text] of TEXTS) expect(encodeForPrintf(text)).toMatch(/^'[ -&(-~]*'$/);
});

test('a lone surrogate becomes the replacement character, as everywhere in UTF-8', () => {
  expect(throughPrintf(['/bin/sh'], 'a\ud800b')).toBe('a\ufffdb');
});

/** What the shell makes of the quoted words, each ended by a NUL so that nothing can blur. */
function throughQuote(shell: readonly string[], words: readonly string[]): string[] {
  const script = words.map((word) => `printf '%s\\0' ${quote(word)}\n`).join('');
  return run(shell, script).split('\0').slice(0, -1);
}

function throughPrintf(shell: readonly string[], text: string): string {
  return run(shell, `printf %b ${encodeForPrintf(text)}\n`);
}

function run(shell: readonly string[], script: string): string {
  const [path = '', ...options] = shell;
  const { stdout, stderr, status } = spawnSync(path, [...options, '-s'], {
    input: script,
    maxBuffer: 64 * 1024 * 1024,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  return stdout.toString('utf8');
}

/** Seeded texts of up to 60 characters, most of which mean something to a shell. */
function mixtures(count: number): string[] {
  const alphabet = [...'\'"\\$`!*?[]{}()<>|&;#~%= \t\n\rab01é漢🚀\u0001\u007f\u0080'];
  let state = 0x2f6e2b1;
  const next = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % limit;
  };
  const letter = (): string => alphabet[next(alphabet.length)] ?? '';
  return Array.from({ length: count }, () => Array.from({ length: next(60) }, letter).join(''));
}
