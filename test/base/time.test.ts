import { expect, it } from 'vitest';
import { formatTime } from '../../src/base/time.ts';

it.each([
  ['the epoch', 0, '1970-01-01T00:00:00Z'],
  ['milliseconds are dropped', Date.UTC(2026, 10, 23, 6, 5, 41, 999), '2026-11-23T06:05:41Z'],
])('writes a time as UTC to the second: %s', (_, ms, text) => {
  expect(formatTime(ms)).toBe(text);
});
