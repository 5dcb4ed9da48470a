import { findRecord, recordsBelow, type Snapshot } from '../store/snapshot.ts';
import type { StoreRecord } from '../store/store.ts';

/** The beginnings of keys that a view needs and has not read. The registry reads them, and asks again. */
export class Unread extends Error {
  readonly prefixes: readonly string[];

  constructor(prefixes: readonly string[]) {
    super(`not read: ${prefixes.join(', ')}`);
    this.prefixes = prefixes;
  }
}

/** An index of n records takes the time of n / 8 searches, or less. */
const SEARCHES_OF_INDEX = 8;

/** The part of a snapshot below given prefixes: folders, such as `units/`, whole keys, or '' for everything. Reading anything else throws {@link Unread}. */
export class Part {
  readonly snapshot: Snapshot;
  readonly prefixes: ReadonlySet<string>;
  /** Key → record, once so many were searched for that it takes less time. */
  #index: ReadonlyMap<string, StoreRecord> | undefined;
  #searches = 0;

  constructor(snapshot: Snapshot, prefixes: Iterable<string>) {
    this.snapshot = snapshot;
    this.prefixes = new Set(prefixes);
  }

  need(...wanted: readonly string[]): void {
    if (this.prefixes.has('')) return;
    const missing = wanted.filter((each) => !this.#has(each));
    if (missing.length > 0) throw new Unread(missing);
  }

  #has(wanted: string): boolean {
    const folder = wanted.slice(0, wanted.indexOf('/') + 1);
    return [folder, wanted].some((prefix) => this.prefixes.has(prefix));
  }

  find(key: string): StoreRecord | undefined {
    this.need(key);
    if (this.#index !== undefined) return this.#index.get(key);
    const { records } = this.snapshot;
    this.#searches += 1;
    if (this.#searches > records.length / SEARCHES_OF_INDEX)
      this.#index = new Map(records.map((record) => [record.key, record]));
    return findRecord(this.snapshot, key);
  }

  below(prefix: string): readonly StoreRecord[] {
    this.need(prefix);
    return recordsBelow(this.snapshot, prefix);
  }
}
