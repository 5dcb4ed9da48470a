import { expect, it, vi } from 'vitest';
import { readAhead } from '../../src/registry/read-ahead.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { desiredUnit } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

it('all units are read ahead, and events are handled meanwhile', async () => {
  const store = createMemoryStore();
  const registry = createRegistry(store, { clock: { now: () => 0 }, author: 'me@here' });
  const units = Array.from({ length: 200 }, (_, index) => desiredUnit(`u${index}.service`));
  await registry.update(() => units.map((unit) => ({ kind: 'put-unit', unit })));
  const view = await createRegistry(store, { clock: { now: () => 0 }, author: 'me@here' }).load();
  let events = 0;
  let isOver: boolean = false;
  const count = (): void => {
    events += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const parse = vi.spyOn(JSON, 'parse');
  await readAhead(view);
  isOver = true;
  expect(parse.mock.calls.length).toBeGreaterThan(200);
  parse.mockClear();
  expect(view.allUnits.length).toBe(200);
  expect(parse).not.toHaveBeenCalled();
  parse.mockRestore();
  expect(events).toBeGreaterThan(3);
});
