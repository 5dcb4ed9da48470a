import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { FleetError } from '../base/errors.ts';
import { EtcdClient } from '../store/etcd/client.ts';
import { type Message, never, revisionOf, toBase64 } from '../store/etcd/messages.ts';
import type { EtcdOptions } from '../store/etcd/options.ts';
import { keysOf } from '../store/etcd/records.ts';
import { refused } from '../store/etcd/trouble.ts';
import { attempt } from '../store/system-error.ts';
import type { LeaderLock } from './leadership.ts';

/** The pause after a failed watch, in ms. */
const WATCH_PAUSE = 500;

/**
 * The leader lock of a registry in etcd: the key `PREFIX/leader` with a lease of etcd, which removes the key if it is not
 * kept alive. etcd counts whole seconds, so the lease may be slightly longer than `ttlMs`, but never shorter.
 */
export function etcdLeaderLock(options: EtcdOptions, ttlMs: number): LeaderLock {
  const client = new EtcdClient(options);
  const key = keysOf(options.prefix).leader;
  let lease = '0';
  let seen = 0n;

  /** The lease of the process that holds the lock; undefined if it is free. */
  const holder = async (): Promise<string | undefined> => {
    const answer = await client.call('kv/range', { key: toBase64(key) });
    seen = revisionOf(answer);
    const { kvs = [] } = answer as { kvs?: { lease?: string; value?: string }[] };
    const [kv] = kvs;
    if (kv !== undefined) refuseForeign(key, kv);
    return kv?.lease;
  };
  const revoke = async (): Promise<void> => {
    await client.ask('lease/revoke', { ID: lease });
  };

  return {
    ttlMs,
    async take() {
      if ((await holder()) !== undefined) return false;
      const granted = await client.call('lease/grant', { TTL: `${Math.ceil(ttlMs / 1000)}` });
      lease = `${granted.ID}`;
      const result = await client.ask('kv/txn', putLock(key, lease), { once: true });
      if (result.kind === 'answer' && result.message.succeeded === true) return true;
      await revoke();
      if (result.kind === 'refused') throw refused(result.refusal);
      return false;
    },
    async probe() {
      await holder();
      await client.call('kv/txn', { ...putLock(key, '0'), compare: [never(key)] });
    },
    async renew() {
      const { result } = await client.call('lease/keepalive', { ID: lease });
      const { TTL = '0' } = (result ?? {}) as { TTL?: string };
      // A user may have removed the key.
      return Number(TTL) > 0 && (await holder()) === lease;
    },
    leave: revoke,
    async waitUntilFree(signal) {
      const hasChanged = await client.watch(key, seen, signal);
      if (!hasChanged) await sleep(WATCH_PAUSE, undefined, { signal }).catch(() => {});
    },
    close: async () => client.close(),
  };
}

function putLock(key: string, lease: string): Message {
  const value = toBase64(JSON.stringify({ host: hostname(), pid: process.pid }));
  return {
    compare: [{ key: toBase64(key), target: 'CREATE', result: 'EQUAL', create_revision: '0' }],
    success: [{ request_put: { key: toBase64(key), value, lease } }],
  };
}

/**
 * Throws FleetError `registry-corrupt` for a key that no fleetd can have written: it would never be removed, and all
 * controllers would wait.
 */
function refuseForeign(key: string, { lease, value = '' }: { lease?: string; value?: string }): void {
  const text = Buffer.from(value, 'base64').toString('utf8');
  const isOurs = Object(attempt(() => JSON.parse(text))).pid !== undefined;
  if (isOurs && lease !== undefined) return;
  throw new FleetError(
    'registry-corrupt',
    `no fleetd wrote the key "${key}" of etcd: ${isOurs ? 'it has no lease, so it never expires' : 'its value is not that of a leader'}`,
    { hint: `Examine the key, and remove it: etcdctl del ${key}` },
  );
}
