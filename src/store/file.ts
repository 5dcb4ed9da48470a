import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLimit } from '../base/async.ts';
import { FleetError } from '../base/errors.ts';
import { makeFolder, NOTHING_STORED, readStored, recordsPath, writeStored } from './folder.ts';
import { type LockAttempt, sweepLocks, tryLock } from './lock.ts';
import { applyChanges, findRecord, partOf, type Snapshot } from './snapshot.ts';
import type { Change, CommitResult, Listing, Store, StoreRecord } from './store.ts';
import { attempt, unavailable } from './system-error.ts';
import { createWaits, ringOnChange } from './waits.ts';

export type FileStoreOptions = {
  /** How long a commit waits for the lock of one process, in ms. */
  readonly lockTimeout?: number;
  /** How often a wait for a change polls without a notification, in ms. */
  readonly pollInterval?: number;
};

/**
 * A store in a folder, for the processes of one machine. Every commit replaces its one file,
 * `records`. The format of the file is in `snapshot-file.ts`; the lock between processes is in `lock.ts`.
 *
 * A folder that does not exist is an empty store. Reading creates nothing and takes no lock; the first commit
 * creates the folder (mode 0700) and the file (0600).
 *
 * Errors, of any call: `registry-corrupt`, `registry-newer`, `registry-unavailable` (the disk or permissions
 * refuse) and `registry-locked` (one process held the lock for `lockTimeout`).
 */
export function openFileStore(folder: string, options: FileStoreOptions = {}): Store {
  return new FileStore(resolve(folder), options);
}

class FileStore implements Store {
  readonly #folder: string;
  readonly #lockTimeout: number;
  readonly #pollInterval: number;
  readonly #waits = createWaits();
  #stored = NOTHING_STORED;
  readonly #inTurn = createLimit(1);

  constructor(folder: string, { lockTimeout = 10_000, pollInterval = 1_000 }: FileStoreOptions) {
    this.#folder = folder;
    this.#lockTimeout = lockTimeout;
    this.#pollInterval = pollInterval;
  }

  async get(key: string): Promise<StoreRecord | undefined> {
    return findRecord(this.#read(), key);
  }

  async list(...prefixes: readonly string[]): Promise<Listing> {
    return partOf(this.#read(), prefixes);
  }

  commit(changes: readonly Change[]): Promise<CommitResult> {
    return this.#inTurn(() => this.#commit(changes));
  }

  waitForChange(after: number, signal: AbortSignal): Promise<boolean> {
    const hasChanged = (): boolean => (attempt(() => this.#read().revision) ?? after) !== after;
    return this.#waits.until(hasChanged, signal, (ring) =>
      ringOnChange(this.#folder, this.#pollInterval, ring),
    );
  }

  async close(): Promise<void> {
    this.#waits.close();
    await this.#inTurn(async () => undefined);
    this.#stored = NOTHING_STORED;
  }

  async #commit(changes: readonly Change[]): Promise<CommitResult> {
    const wait = boundedWait(this.#folder, this.#lockTimeout);
    for (;;) {
      const before = this.#read();
      const outcome = applyChanges(before, changes);
      if (outcome.kind === 'conflict') return outcome;
      // The lock is for the revision after `before`, so `before` is still the current state once we hold it.
      const attempt = outcome.after === before ? 'nothing to write' : await this.#write(outcome.after);
      if (attempt === 'written' || attempt === 'nothing to write') {
        return { kind: 'committed', revision: outcome.after.revision };
      }
      if (attempt.kind === 'busy') await wait(attempt);
    }
  }

  #read(): Snapshot {
    const { snapshot: last } = this.#stored;
    try {
      const stored = readStored(this.#folder, this.#stored);
      if (stored.snapshot.revision < last.revision) throw wentBack(this.#folder, last, stored.snapshot);
      this.#stored = stored;
      return stored.snapshot;
    } catch (error) {
      throw unavailable('read', this.#folder, error);
    }
  }

  async #write(snapshot: Snapshot): Promise<'written' | Exclude<LockAttempt, { kind: 'locked' }>> {
    try {
      if (snapshot.revision === 1) await makeFolder(this.#folder);
      const attempt = tryLock(this.#folder, snapshot.revision, () => this.#read().revision);
      if (attempt.kind !== 'locked') return attempt;
      try {
        this.#stored = await writeStored(this.#folder, attempt.lock.name, snapshot);
      } finally {
        attempt.lock.release();
      }
      sweepLocks(this.#folder, snapshot.revision);
      return 'written';
    } catch (error) {
      throw unavailable('write', this.#folder, error);
    }
  }
}

/**
 * Waits a little longer with each call, 2 to 20 ms, at random so that processes do not collide again. Throws
 * `registry-locked` once the same lock has blocked it for `timeout` ms.
 */
function boundedWait(folder: string, timeout: number) {
  let inTheWay = '';
  let since = 0;
  let delay = 2;
  return async ({ owner, path }: Extract<LockAttempt, { kind: 'busy' }>): Promise<void> => {
    if (path !== inTheWay) [inTheWay, since, delay] = [path, performance.now(), 2];
    const waited = performance.now() - since;
    if (waited >= timeout) {
      throw new FleetError(
        'registry-locked',
        `could not write the registry "${folder}": process ${owner.pid} ("${owner.command}") has held its lock for ${Math.round(waited / 1000)} s`,
        { hint: `end that process if it hangs; if it is gone, or not one of fleet, remove "${path}"` },
      );
    }
    await sleep(delay * (0.5 + Math.random() / 2));
    delay = Math.min(20, delay * 1.5);
  };
}

/** An older or missing file must not be taken as the removal of units. */
function wentBack(folder: string, last: Snapshot, found: Snapshot): FleetError {
  return new FleetError(
    'registry-corrupt',
    `the registry "${recordsPath(folder)}" went back from revision ${last.revision} to ${found.revision} while in use`,
    { hint: 'restore the newer file, or restart to continue with this one' },
  );
}
