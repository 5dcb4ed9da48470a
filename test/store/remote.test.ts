import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { type Lines, remoteStore, serveStore } from '../../src/store/remote.ts';
import type { Store } from '../../src/store/store.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { describeStore } from './conformance.ts';

/** Lines to a process that serves `store`; `end` is what happens when the way to it is lost. */
function linesTo(store: Store): Lines & { readonly end: (error: FleetError) => void } {
  const listeners = { line: (_: string): void => undefined, end: (_: FleetError): void => undefined };
  const take = serveStore(store, (line) => queueMicrotask(() => listeners.line(line)));
  return {
    send: (line) => void take(line),
    onLine: (listener) => {
      listeners.line = listener;
    },
    onEnd: (listener) => {
      listeners.end = listener;
    },
    end: (error) => listeners.end(error),
    close: async () => undefined,
  };
}

describeStore('store over lines', async () => {
  const store = createMemoryStore();
  return {
    store: remoteStore(linesTo(store)),
    reopen: async () => remoteStore(linesTo(store)),
    tearDown: () => store.close(),
  };
});

const LOST = new FleetError('registry-unavailable', 'gone', { hint: 'come back' });

it('rejects what was asked, and what will be, with the reason for which the way was lost', async () => {
  const store = createMemoryStore();
  const never: Store = { ...store, list: () => new Promise(() => undefined) };
  const lines = linesTo(never);
  const remote = remoteStore(lines);
  const asked = remote.list('');
  lines.end(LOST);
  await expect(asked).rejects.toBe(LOST);
  await expect(remote.get('a')).rejects.toBe(LOST);
  const waited = new AbortController();
  const change = remote.waitForChange(0, waited.signal);
  waited.abort();
  expect(await change).toBe(false);
});

it('gives an error of the other side its code and its hint', async () => {
  const failing: Store = { ...createMemoryStore(), get: () => Promise.reject(LOST) };
  await expect(remoteStore(linesTo(failing)).get('a')).rejects.toMatchObject({
    code: 'registry-unavailable',
    message: 'gone',
    hint: 'come back',
  });
});
