import { expect, it } from 'vitest';
import { deferred } from '../../src/base/async.ts';
import { voterWaits } from '../../src/cli/machines-store.ts';

it('tells which machines a call waits for, and none after it, although one has not answered', async () => {
  const told: (readonly string[])[] = [];
  const waits = voterWaits((machines) => told.push(machines));
  const [slow, hung] = [deferred<void>(), deferred<void>()];
  const call = waits.during(async () => {
    void waits.asking('k2', () => hung.promise);
    await waits.asking('k1', () => slow.promise);
  });
  expect(told.at(-1)).toEqual(['k2', 'k1']);
  slow.resolve();
  await call;
  expect(told.at(-1)).toEqual([]);
  // The next call waits for it again.
  const next = waits.during(() => waits.asking('k1', async () => undefined));
  expect(told).toContainEqual(['k2', 'k1']);
  await next;
  const failing = waits.during(() => waits.asking('k3', () => Promise.reject(new Error('away'))));
  await expect(failing).rejects.toThrow('away');
  expect(told.at(-1)).toEqual([]);
  hung.resolve();
});
