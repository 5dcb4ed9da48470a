import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { untilAny } from '../base/async.ts';
import { openFileStore } from '../store/file.ts';
import { probeFolder } from '../store/folder.ts';
import { mayBeRunning, parseOwner, thisProcess } from '../store/owner.ts';
import type { Store, StoreRecord } from '../store/store.ts';
import { attempt } from '../store/system-error.ts';
import type { LeaderLock } from './leadership.ts';

/** The interval of checks whether the leader has ended, in ms. They do not read the store. */
const CHECK_MS = 500;
const KEY = 'leader';

/**
 * The leader lock of a registry in a folder, in a separate store below it, so that renewals do not change the revision of
 * the registry.
 */
export function fileLeaderLock(directory: string, ttlMs: number): LeaderLock {
  const lock = storeLeaderLock(openFileStore(join(directory, KEY)), ttlMs);
  return {
    ...lock,
    async probe() {
      await lock.probe();
      await probeFolder(join(directory, KEY));
    },
  };
}

/**
 * A leader lock as the only record of a store.
 *
 * It is free if its owner has certainly ended (`store/owner.ts`), or if it was not renewed within its TTL. Each candidate
 * measures the TTL by its own clock, from the time at which it first saw the record. The holder measures it from its
 * request, which was earlier, so it is the first to know that the lock has expired.
 */
export function storeLeaderLock(store: Store, ttlMs: number): LeaderLock {
  const value = JSON.stringify({ ...thisProcess(), ttlMs, lock: randomUUID() });
  const stale = staleness();
  let ours = 0;
  let seen: Look = { revision: 0, record: undefined };
  const isFree = (): boolean => seen.record === undefined || hasEnded(seen.record) || stale(seen.record);
  const put = async (ifRevision: number): Promise<boolean> => {
    const result = await store.commit([{ kind: 'put', key: KEY, value, ifRevision }]);
    if (result.kind === 'conflict') return false;
    ours = result.revision;
    return true;
  };
  return {
    ttlMs,
    async take() {
      seen = await look(store);
      return isFree() && (await put(seen.record?.revision ?? 0));
    },
    async probe() {
      await look(store);
    },
    renew: () => put(ours),
    async leave() {
      await store.commit([{ kind: 'delete', key: KEY, ifRevision: ours }]);
    },
    async waitUntilFree(signal) {
      const free = new AbortController();
      const check = setInterval(() => isFree() && free.abort(), CHECK_MS);
      await untilAny([signal, free.signal], (ended) => store.waitForChange(seen.revision, ended));
      clearInterval(check);
    },
    close: () => store.close(),
  };
}

/**
 * Stores a new record of the lock. It is free only after `ttlMs`, because a holder that the lost part of the store had may still
 * lead.
 */
export async function resetLeaderLock(store: Store, ttlMs: number): Promise<void> {
  const { record } = await look(store);
  const value = JSON.stringify({ ttlMs, lock: randomUUID() });
  await store.commit([{ kind: 'put', key: KEY, value, ifRevision: record?.revision ?? 0 }]);
}

type Look = { readonly revision: number; readonly record: StoreRecord | undefined };

async function look(store: Store): Promise<Look> {
  const { revision, records } = await store.list('');
  return { revision, record: records.find(({ key }) => key === KEY) };
}

function hasEnded({ value }: StoreRecord): boolean {
  const owner = parseOwner(value);
  return owner !== undefined && !mayBeRunning(owner);
}

/** A function that returns whether a record has been unchanged for its TTL. */
function staleness(): (record: StoreRecord) => boolean {
  let revision = 0;
  let since = 0;
  return (record) => {
    if (record.revision !== revision) [revision, since] = [record.revision, performance.now()];
    return performance.now() - since >= ttlOf(record);
  };
}

/** The TTL in ms; 0 for an invalid value, which fleet did not write, so the lock is free. */
function ttlOf({ value }: StoreRecord): number {
  return Number(attempt(() => JSON.parse(value).ttlMs)) || 0;
}
