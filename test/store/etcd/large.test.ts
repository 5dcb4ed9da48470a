import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareText } from '../../../src/base/text.ts';
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
      while (seen === 0) {
        await sleep(5);
        seen = (await other.list('')).records.length;
      }
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

  /** Each so long that 6,000 of them do not fit into one request, and too short for pieces. */
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      put(`units/${String(i).padStart(6, '0')}`, 'a value of a few words '.repeat(6)),
    );

  it('is more than a request for a registry that is there: refused whole', async () => {
    await open();
    await store.commit([put('a')]);
    await expect(store.commit(many(6_000))).rejects.toThrow('Cannot store 6000 changes at once');
    expect((await other.list('')).records).toHaveLength(1);
    await close();
  });

  it('is a registry of 7,500 records, which comes and goes as a whole', async () => {
    await open();
    const puts = [...many(7_500), put('contents/long', 'x'.repeat(2 * MB))];
    const seen = new Set<number>();
    const done = new AbortController();
    const reader = openEtcdStore(options);
    const reading = (async () => {
      while (!done.signal.aborted) {
        seen.add((await reader.list('')).records.length);
        await sleep(20);
      }
    })();
    expect(await store.commit(puts)).toEqual({ kind: 'committed', revision: 1 });
    done.abort();
    await reading;
    await reader.close();
    expect([...seen].filter((length) => length !== 0 && length !== 7_501)).toEqual([]);
    const { records } = await other.list('');
    expect(records.map(({ key, value }) => `${key} ${value}`)).toEqual(
      puts.map((each) => `${each.key} ${'value' in each ? each.value : ''}`).toSorted(compareText),
    );
    await other.commit([put('units/000007', 'changed', 1)]);
    expect((await store.list('')).records).toHaveLength(7_501);
    const all = (await store.list('')).records;
    await store.commit(all.map(({ key, revision }) => ({ kind: 'delete', key, ifRevision: revision })));
    expect([(await other.list('')).records, await count('records/'), await count('pieces/')]).toEqual([
      [],
      0,
      0,
    ]);
    await close();
  }, 120_000);

  it('is whole or not there when it was interrupted, and can be stored again', async () => {
    await open();
    // What the process leaves that was killed on the way: its mark, and records without a head.
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const leave = (key: string, value: string) =>
      etcd.post('kv/put', { key: base64(`${options.prefix}/${key}`), value: base64(value) });
    await leave('filling', 'another');
    await leave('records/units/left.service', '1\nleft');
    expect(await store.list('')).toEqual({ revision: 0, records: [] });
    await expect(store.commit([put('a')])).rejects.toThrow('a copy into it is not finished');
    expect(await store.commit(many(6_000))).toEqual({ kind: 'committed', revision: 1 });
    const { records } = await other.list('');
    expect([records.length, await count('records/'), await count('filling')]).toEqual([6_000, 6_000, 0]);
    await close();
  }, 60_000);

  it('is stored by one of two who begin at the same time', async () => {
    await open();
    const ended = await Promise.allSettled([store.commit(many(6_000)), other.commit(many(6_000))]);
    const committed = ended.filter((each) => each.status === 'fulfilled' && each.value.kind === 'committed');
    expect(committed).toHaveLength(1);
    const reader = openEtcdStore(options);
    expect((await reader.list('')).records).toHaveLength(6_000);
    await reader.close();
    await close();
  }, 120_000);
});

describe.runIf(HAS_ETCD)('a prefix within the keys of another registry', () => {
  it.each(['records', 'pieces', 'records/x'])('is refused: %s', async (below) => {
    const etcd = await TestEtcd.start();
    const options = etcd.options();
    const outer = openEtcdStore(options);
    await outer.commit([put('a')]);
    const inner = openEtcdStore({ ...options, prefix: `${options.prefix}/${below}` });
    await expect(inner.commit([put('a')])).rejects.toThrow('Cannot begin a registry at');
    expect((await outer.list('')).records).toHaveLength(1);
    await Promise.all([outer.close(), inner.close()]);
    await etcd.end();
  });

  it('is used where there is no such registry', async () => {
    const etcd = await TestEtcd.start();
    const store = openEtcdStore({ ...etcd.options(), prefix: '/backup/records/fleet' });
    expect(await store.commit([put('a')])).toEqual({ kind: 'committed', revision: 1 });
    await store.close();
    await etcd.end();
  });
});
