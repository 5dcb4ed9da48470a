import { describe, expect, it } from 'vitest';
import { formatDuration, formatTime, parseDuration, parseTimeSpan } from '../../src/base/time.ts';

it.each([
  ['the epoch', 0, '1970-01-01T00:00:00Z'],
  ['milliseconds are dropped', Date.UTC(2026, 10, 23, 6, 5, 41, 999), '2026-11-23T06:05:41Z'],
])('writes a time as UTC to the second: %s', (_, ms, text) => {
  expect(formatTime(ms)).toBe(text);
});

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['0s', 0],
    ['007s', 7000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '30', 's', '-1s', '1.5s', '30 s', '1d', '30S', '1m30s', '30s\n', '1234567890s'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe('formatDuration', () => {
  it.each([
    [0, '0ms'],
    [500, '500ms'],
    [1000, '1s'],
    [1500, '1500ms'],
    [90_000, '90s'],
    [300_000, '5m'],
    [7_200_000, '2h'],
    [0.6, '1ms'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('writes what parseDuration reads', () => {
    for (const ms of [1, 999, 1000, 59_000, 60_000, 61_000, 3_599_999, 3_600_000, 86_400_000]) {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }
  });
});

describe('a time span of systemd', () => {
  it.each<readonly [string, number | undefined]>([
    ['90', 90_000],
    ['5min 20s', 320_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['250 µs', 0.25],
    ['2 weeks', 1_209_600_000],
    ['infinity', Number.POSITIVE_INFINITY],
    ['0', 0],
    ['', undefined],
    ['5x', undefined],
    ['-5', undefined],
    ['5 constructor', undefined],
  ])('%j', (text, ms) => {
    expect(parseTimeSpan(text)).toBe(ms);
  });
});
