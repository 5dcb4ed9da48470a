import { applyChanges, EMPTY_SNAPSHOT, findRecord, recordsBelow } from './snapshot.ts';
import type { Store } from './store.ts';

/** A store that lives and dies with the process. */
export function createMemoryStore(): Store {
  let snapshot = EMPTY_SNAPSHOT;
  return {
    get: async (key) => findRecord(snapshot, key),
    list: async (prefix) => ({ revision: snapshot.revision, records: recordsBelow(snapshot, prefix) }),
    commit: async (changes) => {
      const outcome = applyChanges(snapshot, changes);
      if (outcome.kind === 'conflict') return outcome;
      snapshot = outcome.after;
      return { kind: 'committed', revision: snapshot.revision };
    },
    close: async () => {},
  };
}
