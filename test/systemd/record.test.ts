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
    ['a target state nobody knows', writeRecord(A).replace('launched', 'paused') + writeRecord(B), [B]],
    ['an empty file between two', `${writeRecord(A)}${writeRecord(B)}`, [A, B]],
    ['a token that is no number', writeRecord(A).replace('token=7', 'token=seven'), [{ ...A, token: 0 }]],
  ])('read %s', (_, text, records) => {
    expect(readRecords(text)).toEqual(records);
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
