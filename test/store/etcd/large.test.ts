import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EtcdOptions } from '../../../src/store/etcd/options.ts';
import { openEtcdStore } from '../../../src/store/etcd/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { HAS_ETCD, TestEtcd } from '../../support/etcd.ts';
import { put } from '../conformance.ts';

const MB = 1_048_576;

describe.runIf(HAS_ETCD)('what does not fit into one request of etcd', () => {
  let etcd: TestEtcd;
  let options: EtcdOptions;
  let store: Store;
  let other: Store;

  beforeAll(async () => {
    etcd = await TestEtcd.start();
  });
  afterAll(() => etcd.end());

  async function open(): Promise<void> {
    options = etcd.options();
    [store, other] = [openEtcdStore(options), openEtcdStore(options)];
  }

  async function close(): Promise<void> {
    await Promise.all([store.close(), other.close()]);
  }

  /** How many keys there are below the prefix that start so. */
  async function count(start: string): Promise<number> {
    const key = `${options.prefix}/${start}`;
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const answer = await etcd.post('kv/range', {
      key: base64(key),
      range_end: base64(`${key}\xff`),
      count_only: true,
    });
    return Number(answer.count ?? 0);
  }

  it('is many changes: 1000 of them are one commit', async () => {
    await open();
    const puts = Array.from({ length: 1000 }, (_, i) => put(`units/${i}`, `value ${i}`));
    expect(await store.commit(puts)).toEqual({ kind: 'committed', revision: 1 });
    const { revision, records } = await other.list('units/');
    expect([revision, records.length, new Set(records.map((each) => each.revision)).size]).toEqual([
      1, 1000, 1,
    ]);
    await close();
  });

  it('is a value of several MB: kept to the letter, in pieces, which go when it goes', async () => {
    await open();
    // Three bytes a character, so that pieces end within one.
    const long = '€'.repeat(MB);
    await store.commit([put('long', long), put('short', 'x')]);
    expect((await other.get('long'))?.value === long).toBe(true);
    expect(await count('pieces/')).toBe(6);
    await other.commit([put('long', 'short now', 1)]);
    expect((await store.get('long'))?.value).toBe('short now');
    expect(await count('pieces/')).toBe(0);
    await store.commit([put('long', long, 2)]);
    await store.commit([{ kind: 'delete', key: 'long', ifRevision: 3 }]);
    expect([await count('pieces/'), await count('records/')]).toEqual([0, 1]);
    await close();
  });

  it('is many values of middling length together: all of them or none', async () => {
    await open();
    const puts = Array.from({ length: 300 }, (_, i) => put(`contents/${i}`, `${i} `.repeat(4000)));
    let seen = 0;
    const watcher = (async () => {
      while (seen === 0) seen = (await other.list('')).records.length;
    })();
    await store.commit(puts);
    await watcher;
    expect(seen).toBe(300);
    expect((await other.get('contents/299'))?.value).toBe('299 '.repeat(4000));
    await close();
  });

  it('leaves nothing behind when another commit was faster', async () => {
    await open();
    await store.list('');
    await other.commit([put('a', 'other')]);
    expect(await store.commit([put('a', 'x'.repeat(2 * MB))])).toEqual({ kind: 'conflict', key: 'a' });
    expect(await count('pieces/')).toBe(0);
    await close();
  });

  it('is refused whole where even the keys are too many', async () => {
    await open();
    const puts = Array.from({ length: 12_000 }, (_, i) => put(`units/${i}`, 'a value of a few words'));
    await expect(store.commit(puts)).rejects.toThrow('Cannot store 12000 changes at once');
    expect(await other.list('')).toEqual({ revision: 0, records: [] });
    await close();
  });
});
