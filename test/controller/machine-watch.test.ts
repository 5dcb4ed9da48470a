import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { MachineWatch, restMs } from '../../src/controller/machine-watch.ts';
import { fakeMachines } from '../support/fake-machines.ts';

it('a session that ends before it has answered is not begun again at once', async () => {
  const machine = { name: 'm1', address: 'm1.example', metadata: {} };
  const { driver } = fakeMachines([machine]);
  let asked = 0;
  const refusing = {
    ...driver,
    connect: async () => {
      const session = await driver.connect(machine);
      const observe = async (): Promise<never> => {
        asked++;
        await sleep(1);
        throw new FleetError('become-denied', 'Cannot use machine "m1": sudo refuses');
      };
      return { ...session, observe, ended: Promise.resolve() };
    },
  };
  const watch = new MachineWatch(machine, {
    driver: refusing,
    clock: { now: () => Date.now() },
    intervalMs: 60_000,
    deadlineMs: 10_000,
    onChange: () => undefined,
    grant: () => undefined,
  });
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  await sleep(700);
  stop.abort();
  await running;
  // At once, after a quarter of a second and after another half.
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(5);
});

it.each([
  [0, 10_000, 10_000],
  [1, 10_000, 250],
  [3, 10_000, 1_000],
  [5, 10_000, 2_000],
  [1_000, 10_000, 2_000],
  [1_000, 1_500, 1_500],
])(
  'after %i questions that were not answered, a watch of every %i ms rests for %i ms',
  (failures, intervalMs, ms) => {
    expect(restMs(failures, intervalMs)).toBe(ms);
  },
);
