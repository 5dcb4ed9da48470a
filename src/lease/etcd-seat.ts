import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdClient, type Message, toBase64 } from '../store/etcd/client.ts';
import { keysOf } from '../store/etcd/keys.ts';
import type { EtcdOptions } from '../store/etcd/options.ts';
import { revisionOf } from '../store/etcd/read.ts';
import type { Seat } from './seat.ts';

/** How long a watch may be silent before the key is looked at again, and how long to wait after a failure, in ms. */
const WATCH_SILENCE = 10_000;
const WATCH_PAUSE = 500;

/**
 * The seat of a registry in etcd: the key `PREFIX/leader`, under a lease of etcd, which removes it when the lease is
 * not kept alive. etcd counts whole seconds, so the lease may last a little longer than `ttlMs`; never shorter.
 */
export function etcdSeat(options: EtcdOptions, ttlMs: number): Seat {
  const client = new EtcdClient(options);
  const key = keysOf(options.prefix).leader;
  let lease = '0';
  let seen = 0n;

  /** The lease of whoever has the seat; undefined when it is free. */
  const holder = async (): Promise<string | undefined> => {
    const answer = await client.call('kv/range', { key: toBase64(key) });
    seen = revisionOf(answer);
    const { kvs = [] } = answer as { kvs?: { lease?: string }[] };
    return kvs[0] && (kvs[0].lease ?? '0');
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
      const result = await client.ask('kv/txn', takeSeat(key, lease), { once: true });
      if (result.kind === 'answer' && result.message.succeeded === true) return true;
      await revoke();
      return false;
    },
    async renew() {
      const { result } = await client.call('lease/keepalive', { ID: lease });
      const { TTL = '0' } = (result ?? {}) as { TTL?: string };
      // Somebody may have removed the key by hand.
      return Number(TTL) > 0 && (await holder()) === lease;
    },
    leave: revoke,
    async waitUntilFree(signal) {
      const told = await client.watch(key, seen, WATCH_SILENCE, signal);
      if (!told) await sleep(WATCH_PAUSE, undefined, { signal }).catch(() => {});
    },
    close: async () => client.close(),
  };
}

function takeSeat(key: string, lease: string): Message {
  const value = toBase64(JSON.stringify({ host: hostname(), pid: process.pid }));
  return {
    compare: [{ key: toBase64(key), target: 'CREATE', result: 'EQUAL', create_revision: '0' }],
    success: [{ request_put: { key: toBase64(key), value, lease } }],
  };
}
