import { findRecord, partOf, type Snapshot } from './snapshot.ts';
import type { Store } from './store.ts';

/** A store that always has the same content, and gives changes to `commit`. */
export function snapshotStore(snapshot: Snapshot, commit: Store['commit']): Store {
  return {
    get: async (key) => findRecord(snapshot, key),
    list: async (...prefixes) => partOf(snapshot, prefixes),
    commit,
    waitForChange: async () => false,
    close: async () => undefined,
  };
}
