import { createMemoryStore } from '../support/memory-store.ts';
import { describeStore } from './conformance.ts';

describeStore('memory store', async () => {
  const store = createMemoryStore();
  return { store, reopen: async () => store, tearDown: () => store.close() };
});
