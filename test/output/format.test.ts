import { expect, it } from 'vitest';
import { formatBytes, formatCpuTime, formatDate, formatSpan } from '../../src/output/format.ts';

it('writes times in UTC', () => {
  expect(formatDate(Date.UTC(2026, 10, 23, 6, 5, 41, 999))).toBe('2026-11-23 06:05:41 UTC');
});

it.each([
  [0, '0s'],
  [0.9, '0s'],
  [59.99, '59s'],
  [60, '1min'],
  [125, '2min 5s'],
  [3600, '1h'],
  [3605, '1h'],
  [7500, '2h 5min'],
  [86_400 * 3 + 4 * 3600 + 59, '3d 4h'],
  [86_400 * 400, '400d'],
])('writes %d seconds as %s', (seconds, text) => {
  expect(formatSpan(seconds)).toBe(text);
});

it.each([
  [0, '0ms'],
  [999_999, '0ms'],
  [15_382_000, '15ms'],
  [999_999_999, '999ms'],
  [1_234_000_000, '1.2s'],
  [59_999_000_000, '59.9s'],
  [125_000_000_000, '2min 5s'],
])('writes %d ns of CPU time as %s', (ns, text) => {
  expect(formatCpuTime(ns)).toBe(text);
});

it.each([
  [0, '0B'],
  [1023, '1023B'],
  [1024, '1.0K'],
  [5_452_595, '5.1M'],
  [1024 ** 2 - 1, '1023.9K'],
  [1024 ** 3, '1.0G'],
  [1.5 * 1024 ** 4, '1.5T'],
  [1024 ** 6, '1024.0P'],
])('writes %d bytes as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
