import { describe, expect, it } from 'vitest';
import { Backoff } from '../../src/controller/waiting.ts';

describe('a unit that failed', () => {
  it('waits twice as long every time, and five minutes at the most', () => {
    const backoff = new Backoff();
    const waits = Array.from({ length: 12 }, () => {
      backoff.failed('a.service', 1, 0);
      return backoff.next(0) / 1000;
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  });

  it('is held until its time has come', () => {
    const backoff = new Backoff();
    backoff.failed('a.service', 1, 500);
    expect([backoff.isWaiting('a.service', 1, 1499), backoff.isWaiting('a.service', 1, 1500)]).toEqual([
      true,
      false,
    ]);
    expect(backoff.next(1500)).toBe(Number.POSITIVE_INFINITY);
  });

  it('is not held after a new decision, nor after it succeeded', () => {
    const backoff = new Backoff();
    backoff.failed('a.service', 1, 0);
    expect(backoff.isWaiting('a.service', 2, 10)).toBe(false);
    backoff.succeeded('a.service');
    expect(backoff.isWaiting('a.service', 1, 10)).toBe(false);
  });

  it('is held whatever is wanted of it when nothing could be found out', () => {
    const backoff = new Backoff();
    backoff.failed('a.service', undefined, 0);
    expect(backoff.isWaiting('a.service', 7, 10)).toBe(true);
  });
});
