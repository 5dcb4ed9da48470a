import { expect, test } from 'vitest';
import { createLimit } from '../../src/ssh/limit.ts';

test('runs no more than its number at a time, in the order of arrival', async () => {
  const limit = createLimit(3);
  const started: number[] = [];
  let running = 0;
  let most = 0;
  const work = Array.from({ length: 20 }, (_, i) =>
    limit(async () => {
      started.push(i);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return i;
    }),
  );
  expect(await Promise.all(work)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(started).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(most).toBe(3);
});

test('gives the place of failed work to the next', async () => {
  const limit = createLimit(1);
  const first = limit(() => Promise.reject(new Error('first')));
  const second = limit(() => Promise.resolve('second'));
  await expect(first).rejects.toThrow('first');
  expect(await second).toBe('second');
  expect(await limit(() => Promise.resolve('third'))).toBe('third');
});
