import { applyChanges, EMPTY_SNAPSHOT, findRecord, partOf } from '../../src/store/snapshot.ts';
import type { Store } from '../../src/store/store.ts';
import { createWaits } from '../../src/store/waits.ts';

/** A store that lives and dies with the process. */
export function createMemoryStore(): Store {
  let snapshot = EMPTY_SNAPSHOT;
  const waits = createWaits();
  return {
    sendsParts: true,
    get: async (key) => findRecord(snapshot, key),
    list: async (...prefixes) => partOf(snapshot, prefixes),
    commit: async (changes) => {
      const outcome = applyChanges(snapshot, changes);
      if (outcome.kind === 'conflict') return outcome;
      snapshot = outcome.after;
      waits.ringAll();
      return { kind: 'committed', revision: snapshot.revision };
    },
    waitForChange: (after, signal) => waits.until(() => snapshot.revision !== after, signal),
    close: async () => waits.close(),
  };
}
