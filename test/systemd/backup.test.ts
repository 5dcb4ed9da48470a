import { describe, expect, it } from 'vitest';
import { observeQuery } from '../../src/systemd/observation.ts';
import { readBackup } from '../../src/systemd/record.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('what a machine keeps of the registry', () => {
  it.each([
    ['blank lines and blanks at the end', '[Service]\n \t\n\n'],
    ['no newline at the end', '[Service]'],
    ['letters that are not ASCII', '# naïve 日本 🙂\n'],
    ['nothing', ''],
    ['a carriage return', 'a\r\nb\r'],
  ])('has texts to the byte: %s', (_what, text) => {
    const { texts } = readBackup(`a.service ${base64(text)}\nb.service ${base64('b')}`, '');
    expect([...texts]).toEqual([
      ['a.service', text],
      ['b.service', 'b'],
    ]);
  });

  it.each([
    ['none', '', 0],
    [
      'those of units that are there, and of what was removed',
      'unit=a.service\ntoken=7\nhash=x\ntoken=12\n',
      12,
    ],
    ['notes that were cut short', 'token=\ntoken=3', 3],
  ])('has the highest of its tokens: %s', (_what, tokens, highest) => {
    expect(readBackup('', tokens)).toEqual({ texts: new Map(), token: highest });
  });

  it('is read only when it is asked for', () => {
    const request = { names: [], digests: true };
    expect(observeQuery(request).script).not.toContain('section texts');
    expect(observeQuery({ ...request, backup: true }).script).toContain(
      'section texts texts "$@"\nsection tokens tokens',
    );
  });
});
