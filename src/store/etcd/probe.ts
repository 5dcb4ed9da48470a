import { EtcdClient, toBase64 } from './client.ts';
import { keysOf } from './keys.ts';
import type { EtcdOptions } from './options.ts';

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
  const never = { key: toBase64(keys.head), target: 'CREATE', result: 'LESS', create_revision: '0' };
  try {
    await client.call('kv/txn', { compare: [never], success: puts });
  } finally {
    client.close();
  }
}
