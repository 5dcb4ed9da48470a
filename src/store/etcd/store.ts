import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLimit, untilAny } from '../../base/async.ts';
import { FleetError } from '../../base/errors.ts';
import { applyChanges, findRecord, partOf, type Snapshot } from '../snapshot.ts';
import type { Change, CommitResult, Listing, Store, StoreRecord } from '../store.ts';
import { EtcdClient } from './client.ts';
import { never, toBase64 } from './messages.ts';
import type { EtcdOptions } from './options.ts';
import { readState } from './read.ts';
import { COMMITS_KEPT, keysOf, NO_STATE, outerHeads, type State } from './records.ts';
import { writeState } from './write.ts';

/**
 * A store in etcd, for the processes of many machines. `records.ts` has what is stored, `write.ts` how.
 *
 * A commit replaces the head, on condition that the head is still the one of the snapshot it is based on. Its own
 * conditions can therefore be checked here, on the snapshot, and etcd checks one key. A read returns
 * nothing when the head has not changed since the last one that covered it; otherwise all that this store was ever asked
 * for, in one request.
 *
 * Throws `config` when a file that the options name cannot be read. Errors of any call: `registry-unavailable`
 * (no answer within 2 s for each end point, etcd refuses, or it cannot be known whether a commit happened),
 * `registry-corrupt` and `registry-newer`.
 */
export function openEtcdStore(options: EtcdOptions): Store {
  return new EtcdStore(options);
}

/** How long to wait after a failed read or watch, in ms. */
const WATCH_PAUSE = 500;
/** After so many lost races the cause must be another one. */
const ATTEMPTS = 100;
/** How often a commit without an answer is sent again. */
const DOUBTS = 3;

class EtcdStore implements Store {
  readonly sendsParts = true;
  readonly #client: EtcdClient;
  readonly #prefix: string;
  readonly #keys;
  readonly #closing = new AbortController();
  #state = NO_STATE;
  readonly #inTurn = createLimit(1);

  constructor(options: EtcdOptions) {
    this.#client = new EtcdClient(options);
    this.#prefix = options.prefix;
    this.#keys = keysOf(options.prefix);
  }

  async get(key: string): Promise<StoreRecord | undefined> {
    return findRecord((await this.#read([key])).snapshot, key);
  }

  async list(...prefixes: readonly string[]): Promise<Listing> {
    return partOf((await this.#read(prefixes)).snapshot, prefixes);
  }

  commit(changes: readonly Change[]): Promise<CommitResult> {
    return this.#inTurn(() => this.#commit(changes));
  }

  waitForChange(after: number, signal: AbortSignal): Promise<boolean> {
    return untilAny([signal, this.#closing.signal], async (ended) => {
      while (!ended.aborted) {
        const found = await this.#read([], ended).catch(() => undefined);
        if (found !== undefined && found.snapshot.revision !== after) return !ended.aborted;
        const told =
          found !== undefined && (await this.#client.watch(this.#keys.head, found.etcdRevision, ended));
        if (!told) await sleep(WATCH_PAUSE, undefined, { signal: ended }).catch(() => {});
      }
      return false;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#inTurn(async () => undefined);
    this.#client.close();
  }

  /**
   * A commit without an answer may have been applied, or may still be. It is looked up by its name, and sent again if
   * it is not found; both have the same condition, so etcd applies one of them at most.
   */
  async #commit(changes: readonly Change[]): Promise<CommitResult> {
    const name = randomUUID();
    const keys = changes.map(({ key }) => key);
    let doubt: FleetError | undefined;
    let sentAt = 0;
    for (let attempt = 0, doubts = 0; attempt < ATTEMPTS && doubts < DOUBTS; attempt++) {
      const before = await this.#read(keys).catch((error) => {
        throw doubt === undefined ? error : uncertain(error);
      });
      const { revision } = before.snapshot;
      const age = before.commits.indexOf(name);
      if (age >= 0) return { kind: 'committed', revision: revision - age };
      if (doubt !== undefined && revision - sentAt > COMMITS_KEPT) throw uncertain(doubt);
      const outcome = applyChanges(before.snapshot, changes);
      if (outcome.kind === 'conflict') return outcome;
      if (outcome.after === before.snapshot) return { kind: 'committed', revision };
      if (before.headRevision === '0') await this.#refuseNested();
      const commit = { before, after: outcome.after, changes, name };
      const result = await writeState(this.#client, this.#keys, commit);
      if (result.kind === 'written') {
        this.#state = result.state;
        return { kind: 'committed', revision: outcome.after.revision };
      }
      if (result.kind === 'late') await sleep(Math.random() * Math.min(attempt * 4, 40));
      else [doubt, sentAt, doubts] = [result.error, doubt === undefined ? revision : sentAt, doubts + 1];
    }
    throw doubt === undefined ? overtaken() : uncertain(doubt);
  }

  /** The keys of a registry inside another one would damage that one. Throws `registry-unavailable`. */
  async #refuseNested(): Promise<void> {
    for (const head of outerHeads(this.#prefix)) {
      const { kvs } = await this.#client.call('kv/range', { key: toBase64(head), keys_only: true });
      if (kvs !== undefined) throw nested(this.#prefix, head);
    }
  }

  async #read(prefixes: readonly string[], signal?: AbortSignal): Promise<State> {
    const known = this.#state;
    const found = await readState({ client: this.#client, keys: this.#keys, known, signal }, prefixes);
    if (found.snapshot.revision < known.snapshot.revision) throw wentBack(known.snapshot, found.snapshot);
    // Reads and commits of this store may have overtaken this one.
    if (found.etcdRevision >= this.#state.etcdRevision) this.#state = found;
    return found;
  }
}

function uncertain(cause: FleetError): FleetError {
  return new FleetError(
    'registry-unavailable',
    `It is not known whether a change of the registry was stored. ${cause.message}`,
    { hint: 'look at what is stored (fleetctl list-unit-files) before trying again', cause },
  );
}

function nested(prefix: string, head: string): FleetError {
  return new FleetError(
    'registry-unavailable',
    `Cannot begin a registry at "${prefix}" of etcd: "${head}" shows that another registry has its keys there`,
    { hint: 'name another prefix in fleet.conf' },
  );
}

function overtaken(): FleetError {
  return new FleetError(
    'registry-conflict',
    `Cannot change the registry: other processes were faster ${ATTEMPTS} times`,
    { hint: 'Try again when fewer commands run at the same time' },
  );
}

/** An older or missing registry must not be taken as the removal of units. */
function wentBack(known: Snapshot, found: Snapshot): FleetError {
  return new FleetError(
    'registry-corrupt',
    `the etcd registry went back from revision ${known.revision} to ${found.revision} while in use`,
    { hint: 'restore the newer state of etcd; or restart to continue with this one' },
  );
}

/**
 * Rejects with `registry-unavailable` where the registry could not be written; changes nothing: etcd checks the rights
 * to all that a transaction could do, and the condition of this one never holds.
 */
export async function probeEtcd(options: EtcdOptions): Promise<void> {
  const keys = keysOf(options.prefix);
  const client = new EtcdClient(options);
  const puts = [keys.head, keys.record('units/'), keys.piece('probe', 0)].map((key) => ({
    request_put: { key: toBase64(key), value: '' },
  }));
  try {
    await client.call('kv/txn', { compare: [never(keys.head)], success: puts });
  } finally {
    client.close();
  }
}
