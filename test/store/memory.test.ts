import { createMemoryStore } from '../../src/store/memory.ts';
import { describeStore } from './conformance.ts';

describeStore('memory store', async () => {
  const store = createMemoryStore();
  return { store, reopen: async () => store, tearDown: () => store.close() };
});
