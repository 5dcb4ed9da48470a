import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { createLimit, untilAny, withTimeout } from '../../src/base/async.ts';

it('work aborts with any of the signals, and leaves nothing on them', async () => {
  const all = [new AbortController(), new AbortController()];
  const signals = all.map(({ signal }) => signal);
  for (const controller of all) {
    const seen = await untilAny(signals, async (signal) => {
      const before = signal.aborted;
      controller.abort();
      return [before, signal.aborted];
    });
    // The first one stays aborted, so the second time it is from the start.
    expect(seen).toEqual([controller !== all[0], true]);
    expect(signals.map((signal) => getEventListeners(signal, 'abort').length)).toEqual([0, 0]);
  }
});

it('a timeout is over with the work, or says what is late', async () => {
  const never = new Promise<string>(() => undefined);
  expect(await withTimeout(10_000, Promise.resolve('done'), () => 'late')).toBe('done');
  expect(await withTimeout(1, never, () => 'late')).toBe('late');
  const refuse = (): never => {
    throw new Error('too late');
  };
  await expect(withTimeout(1, never, refuse)).rejects.toThrow('too late');
});

it('a limit runs no more than its number at a time, in the order of arrival', async () => {
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

it('a limit gives the place of failed work to the next', async () => {
  const limit = createLimit(1);
  const first = limit(() => Promise.reject(new Error('first')));
  const second = limit(() => Promise.resolve('second'));
  await expect(first).rejects.toThrow('first');
  expect(await second).toBe('second');
  expect(await limit(() => Promise.resolve('third'))).toBe('third');
});
