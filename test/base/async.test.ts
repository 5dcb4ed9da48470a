import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { untilAny } from '../../src/base/async.ts';

it('aborts with any of the signals, and leaves nothing on them', async () => {
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
