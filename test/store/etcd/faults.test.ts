import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { openEtcdStore } from '../../../src/store/etcd/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { HAS_ETCD, TestEtcd } from '../../support/etcd.ts';
import { LossyProxy } from '../../support/proxies.ts';
import { put } from '../conformance.ts';

const closing: { close(): Promise<void> }[] = [];
const ending: TestEtcd[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((each) => each.close()));
  await Promise.all(ending.splice(0).map((etcd) => etcd.end()));
});

async function start(members = 1): Promise<TestEtcd> {
  const etcd = await TestEtcd.start({ members });
  ending.push(etcd);
  return etcd;
}

function open(options: Parameters<typeof openEtcdStore>[0]): Store {
  const store = openEtcdStore(options);
  closing.push(store);
  return store;
}

describe.runIf(HAS_ETCD)('an etcd that fails', () => {
  it('is reported at once when it is down, and used again when it is back', async () => {
    const etcd = await start();
    const store = open(etcd.options());
    await store.commit([put('a', 'kept')]);
    await etcd.members[0]?.kill();
    const where = `127.0.0.1:${etcd.members[0]?.port}`;
    for (const call of [() => store.list(''), () => store.commit([put('b')])]) {
      await expect(call()).rejects.toMatchObject({
        code: 'registry-unavailable',
        message: `Cannot reach the etcd registry: ${where} (connection refused)`,
      });
    }
    etcd.members[0]?.start();
    await etcd.ready();
    expect((await store.get('a'))?.value).toBe('kept');
    expect(await store.commit([put('b')])).toEqual({ kind: 'committed', revision: 2 });
  });

  it('that is frozen is reported after two seconds', async () => {
    const etcd = await start();
    const store = open(etcd.options());
    await store.commit([put('a')]);
    await etcd.members[0]?.freeze();
    const since = performance.now();
    await expect(store.list('')).rejects.toThrow(/\(no answer within 2 s\)$/);
    expect(performance.now() - since).toBeLessThan(4000);
    etcd.members[0]?.thaw();
    expect((await store.list('')).revision).toBe(1);
  });

  it('of three members works without any one of them, which is asked once', async () => {
    const etcd = await start(3);
    const store = open(etcd.options());
    let revision = 0;
    for (const member of etcd.members) {
      await member.kill();
      expect(await store.commit([put(`without ${member.port}`)])).toEqual({
        kind: 'committed',
        revision: ++revision,
      });
      member.start();
      await etcd.ready();
    }
    await etcd.members[0]?.freeze();
    const frozen = open({ ...etcd.options(), prefix: '/none' });
    expect((await frozen.list('')).revision).toBe(0);
    const since = performance.now();
    await frozen.list('');
    expect(performance.now() - since).toBeLessThan(1000);
    etcd.members[0]?.thaw();
  });

  it('without a majority writes nothing, and says whom it has asked', async () => {
    const etcd = await start(3);
    const store = open(etcd.options());
    await store.commit([put('a')]);
    await Promise.all(etcd.members.slice(1).map((member) => member.kill()));
    const error: Error = await store.commit([put('b')]).then(
      () => new Error('it was written'),
      (refusal) => refusal,
    );
    for (const { port } of etcd.members) expect(error.message).toContain(`127.0.0.1:${port} (`);
  });

  it('that has lost what was stored is not taken for one where nothing is wanted', async () => {
    const etcd = await start();
    const options = etcd.options();
    const store = open(options);
    await store.commit([put('a')]);
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    await etcd.post('kv/deleterange', {
      key: base64(`${options.prefix}/`),
      range_end: base64(`${options.prefix}0`),
    });
    for (const call of [() => store.list(''), () => store.commit([put('b')])]) {
      await expect(call()).rejects.toThrow('the etcd registry went back from revision 1 to 0 while in use');
    }
    expect((await open(options).list('')).revision).toBe(0);
  });
});

describe.runIf(HAS_ETCD)('a wait for a change', () => {
  it('outlives that etcd is restarted, changed and compacted while it is away', async () => {
    const etcd = await start();
    const options = etcd.options();
    const [store, other] = [open(options), open(options)];
    await store.commit([put('a')]);
    const waiting = store.waitForChange(1, AbortSignal.timeout(15_000));
    await sleep(50);
    await etcd.members[0]?.kill();
    etcd.members[0]?.start();
    await etcd.ready();
    for (let i = 1; i <= 3; i++) await other.commit([put('a', '', i)]);
    const { header } = await etcd.post('kv/range', { key: 'YQ==' });
    await etcd.post('kv/compaction', { revision: Object(header).revision });
    expect(await waiting).toBe(true);
    expect((await store.list('')).revision).toBe(4);
  });

  it('ends at once when it is called off, also while etcd is frozen', async () => {
    const etcd = await start();
    const store = open(etcd.options());
    await etcd.members[0]?.freeze();
    const stop = new AbortController();
    const waiting = store.waitForChange(0, stop.signal);
    await sleep(50);
    const since = performance.now();
    stop.abort();
    expect(await waiting).toBe(false);
    // An attempt at a frozen etcd is given up after 2 s.
    expect(performance.now() - since).toBeLessThan(1_900);
    etcd.members[0]?.thaw();
  });
});

describe.runIf(HAS_ETCD)('a commit whose answer is lost', () => {
  async function through(): Promise<{ store: Store; other: Store; proxy: LossyProxy }> {
    const etcd = await start();
    const proxy = await LossyProxy.to(etcd.members[0]?.port ?? 0);
    closing.push(proxy);
    const options = etcd.options();
    const store = open({ ...options, endpoints: [{ host: '127.0.0.1', port: proxy.port }] });
    const other = open(options);
    await store.commit([put('a', 'before')]);
    return { store, other, proxy };
  }

  it('and that was done, is found to be done, once', async () => {
    const { store, other, proxy } = await through();
    proxy.lose(/request_put/, 'the answer');
    expect(await store.commit([put('a', 'after', 1)])).toEqual({ kind: 'committed', revision: 2 });
    expect(await other.list('')).toEqual({
      revision: 2,
      records: [{ key: 'a', value: 'after', revision: 2 }],
    });
  });

  it('and that was not done, is done again', async () => {
    const { store, other, proxy } = await through();
    proxy.lose(/request_put/, 'the request');
    expect(await store.commit([put('a', 'after', 1)])).toEqual({ kind: 'committed', revision: 2 });
    expect((await other.get('a'))?.value).toBe('after');
  });

  it('is found among later ones, with the revision it was given', async () => {
    const { store, other, proxy } = await through();
    proxy.lose(/request_put/, 'the answer', async () => {
      for (let i = 0; i < 3; i++) await other.commit([put(`other ${i}`)]);
    });
    expect(await store.commit([put('mine')])).toEqual({ kind: 'committed', revision: 2 });
    expect((await other.get('mine'))?.revision).toBe(2);
    expect((await store.list('')).revision).toBe(5);
  });

  it('and that was not done, gives way to one that was', async () => {
    const { store, other, proxy } = await through();
    proxy.lose(/request_put/, 'the request', async () => {
      await other.commit([put('a', 'theirs', 1)]);
    });
    expect(await store.commit([put('a', 'mine', 1)])).toEqual({ kind: 'conflict', key: 'a' });
    expect((await store.get('a'))?.value).toBe('theirs');
  });

  it('is reported as neither when no member answers', async () => {
    const { store, other, proxy } = await through();
    proxy.lose(/request_put/, 'the answer', () => proxy.close());
    await expect(store.commit([put('a', 'after', 1)])).rejects.toThrow(
      /^It is not known whether a change of the registry was stored\. Cannot reach/,
    );
    expect((await other.get('a'))?.value).toBe('after');
  });
});

describe.runIf(HAS_ETCD)('keys that fleet did not write', () => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const rows: [what: string, key: string, value: string, code: string, message: string][] = [
    ['a head of a newer fleet', 'revision', '{"fleet":"registry","format":9}', 'registry-newer', 'format 9'],
    ['a head that is none', 'revision', '7', 'registry-corrupt', '/revision"'],
    ['a record without a revision', 'records/a', 'hello', 'registry-corrupt', '/records/a"'],
    ['a record of a later revision', 'records/a', '9\nhello', 'registry-corrupt', 'beyond 1'],
    ['a record whose pieces are gone', 'records/a', '1 abc 2\n', 'registry-corrupt', '0 of 2 pieces'],
  ];

  it('are reported, and left as they are', async () => {
    const etcd = await start();
    for (const [, key, value, code, message] of rows) {
      const options = etcd.options();
      const store = open(options);
      await store.commit([put('a')]);
      const strange = { key: base64(`${options.prefix}/${key}`), value: base64(value) };
      await etcd.post('kv/put', strange);
      // A head as it was, written again, so that others look.
      for (const call of [() => open(options).list(''), () => open(options).commit([put('b')])]) {
        await expect(call()).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
      }
      const { kvs } = await etcd.post('kv/range', { key: strange.key });
      expect(Object(kvs)[0].value).toBe(strange.value);
    }
  });

  it('are records without a head', async () => {
    const etcd = await start();
    const options = etcd.options();
    await etcd.post('kv/put', { key: base64(`${options.prefix}/records/a`), value: base64('1\n') });
    await expect(open(options).list('')).rejects.toMatchObject({ code: 'registry-corrupt' });
  });
});
