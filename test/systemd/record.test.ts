import { describe, expect, it } from 'vitest';
import { readDigests, readRecords, writeRecord } from '../../src/systemd/record.ts';
import { recordOf } from './changes.ts';

const A = recordOf('a.service', 'a', 7, 'launched');
const B = recordOf('b@1.service', 'b', 9_007_199_254_740_991, 'loaded');
const C = recordOf(String.raw`dev-disk\x2dby.mount`, 'c', 0, 'inactive');

const digestA = 'a'.repeat(64);
const digestB = 'b'.repeat(64);

describe('records', () => {
  it.each([
    ['nothing', '', []],
    ['one record', writeRecord(A), [A]],
    ['several, one after the other', writeRecord(A) + writeRecord(B) + writeRecord(C), [A, B, C]],
    [
      'other lines in between, which are left alone',
      `x=y\n${writeRecord(A)}colour=red\n\n${writeRecord(B)}`,
      [A, B],
    ],
    ['a key twice: the last one holds', `unit=a.service\ntoken=1\n${writeRecord(A).slice(15)}`, [A]],
    ['an unknown target state', writeRecord(A).replace('launched', 'paused') + writeRecord(B), [B]],
    ['an empty file between two', `${writeRecord(A)}${writeRecord(B)}`, [A, B]],
    ['a token that was cut off', writeRecord(A).replace('token=7', 'token='), [{ ...A, token: 0 }]],
  ])('read %s', (_, text, records) => {
    expect(readRecords(text)).toEqual(records);
  });

  it.each([
    ['a token that is not a number', 'token=7', 'token=seven'],
    ['a token that is not exact', 'token=7', 'token=9007199254740992'],
    ['a negative token', 'token=7', 'token=-7'],
    ['a name with a path', 'unit=a.service', 'unit=../../etc/x.service'],
    ['a name without a type', 'unit=a.service', 'unit=a'],
    ['a name with an escape sequence', 'unit=a.service', 'unit=\u001b[2Ja.service'],
    ['a hash that is none', 'hash=', 'hash=\u001b[2J'],
  ])('are refused for %s', (_, from, to) => {
    const text = writeRecord(A).replace(from, to);
    expect(text).not.toBe(writeRecord(A));
    expect(() => readRecords(text)).toThrow(expect.objectContaining({ code: 'bad-answer' }));
  });

  it('leave out one that is cut anywhere, and read the next one whole', () => {
    const text = writeRecord(A);
    for (let length = 0; length < text.length - 1; length++) {
      expect([length, readRecords(text.slice(0, length) + writeRecord(B))]).toEqual([length, [B]]);
    }
  });

  it('need no newline at the end', () => {
    expect(readRecords(writeRecord(A).trimEnd() + writeRecord(B))).toEqual([A, B]);
  });

  it('are lines that a shell can read: key=value', () => {
    expect(writeRecord(A)).toBe(
      `unit=a.service\ntoken=7\nhash=${A.hash}\ndigest=${A.digest}\ntarget=launched\n`,
    );
  });
});

describe('the output of sha256sum', () => {
  it.each([
    ['nothing', '', []],
    [
      'two files',
      `${digestA}  a.service\n${digestB}  b.service\n`,
      [
        ['a.service', digestA],
        ['b.service', digestB],
      ],
    ],
    ['binary mode', `${digestA} *a.service\n`, [['a.service', digestA]]],
    [
      'a name with a backslash, which is escaped',
      `\\${digestA}  dev-\\\\x2d.mount\n`,
      [['dev-\\x2d.mount', digestA]],
    ],
    ['a name that only looks escaped', `${digestA}  a\\\\b.service\n`, [['a\\\\b.service', digestA]]],
    ['a name with two backslashes', `\\${digestA}  a\\\\\\\\b.service\n`, [['a\\\\b.service', digestA]]],
    ['a message in between', `sha256sum: x: No such file\n${digestA}  a.service\n`, [['a.service', digestA]]],
    ['a digest that is cut short', `${digestA.slice(1)}  a.service\n`, []],
    ['another algorithm', `${'a'.repeat(40)}  a.service\n`, []],
    ['no newline at the end', `${digestA}  a.service`, [['a.service', digestA]]],
  ])('is read: %s', (_, text, expected) => {
    expect([...readDigests(text)]).toEqual(expected);
  });
});
