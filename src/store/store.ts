/** One key with its value. `revision` is the store's revision at which this key last changed. */
export type StoreRecord = { readonly key: string; readonly value: string; readonly revision: number };

/**
 * One change of a commit. `ifRevision` is the revision the key must have now, 0 for a key that must not
 * exist. `check` changes nothing: it makes the commit depend on a key.
 */
export type Change =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly ifRevision: number }
  | { readonly kind: 'delete'; readonly key: string; readonly ifRevision: number }
  | { readonly kind: 'check'; readonly key: string; readonly ifRevision: number };

export type Listing = { readonly revision: number; readonly records: readonly StoreRecord[] };

export type CommitResult =
  | { readonly kind: 'committed'; readonly revision: number }
  | { readonly kind: 'conflict'; readonly key: string };

/**
 * A small ordered map of text with revisions: the contract under the registry. Keys and values are any well-formed
 * text, values also empty or of several MB.
 *
 * - Revisions are whole numbers from 1, rise by one with every commit that changes something, and are never
 *   used twice, not even after keys are deleted.
 * - `commit` is all or nothing, for every reader and after a crash at any point; when it resolves with
 *   `committed`, the changes are on disk.
 * - Putting the same value again is a change. A check is not, and neither is deleting a key that does not exist.
 * - A conflict changes nothing and is a result, not an error. Errors are FleetErrors with a `registry-…` code.
 * - After a commit, every other store over the same data reads the new state.
 */
export interface Store {
  /** The record of one key. */
  get(key: string): Promise<StoreRecord | undefined>;
  /**
   * All records whose key starts with one of `prefixes`, each once, sorted by key in the order of `<`, at one `revision` of
   * the store: 0 before the first commit. Without prefixes only the revision.
   */
  list(...prefixes: readonly string[]): Promise<Listing>;
  /** Whether a part costs less than everything; elsewhere each `list` is a round trip, or everything is here. */
  readonly sendsParts?: true;
  /**
   * Applies all changes if every `ifRevision` holds; otherwise none, and the result names the first key that failed.
   * The same key may not appear twice: that is a TypeError. `at` is for a store that {@link commitsAt} a revision.
   */
  commit(changes: readonly Change[], at?: number): Promise<CommitResult>;
  /**
   * Whether `commit` can require that the whole store is at the revision `at`, and else returns a conflict. A read before the
   * commit is not needed then.
   */
  readonly commitsAt?: true;
  /**
   * Resolves with true once the revision differs from `after`, at once if it already does; with false when `signal`
   * aborts or the store is closed. A caller that passes the revision of its last read misses no change. Never rejects:
   * it waits while the store cannot be read, and the next read throws the error.
   */
  waitForChange(after: number, signal: AbortSignal): Promise<boolean>;
  /** Waits for unfinished commits, ends the waits for a change, and releases all resources. */
  close(): Promise<void>;
}
