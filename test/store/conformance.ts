import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change, Store } from '../../src/store/store.ts';

/** A fresh, empty store. `reopen` gives another one over the same data. */
export type StoreUnderTest = {
  readonly store: Store;
  readonly reopen: () => Promise<Store>;
  readonly tearDown: () => Promise<void>;
};

/** Records whose values may be read later, as they are sent. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

/** What every store must do. `setUp` is called before each test. */
export function describeStore(name: string, setUp: () => Promise<StoreUnderTest>): void {
  let tested: StoreUnderTest;
  let store: Store;

  beforeEach(async () => {
    tested = await setUp();
    store = tested.store;
  });

  afterEach(() => tested.tearDown());

  describe(`${name}: reading`, () => {
    it('is empty at revision 0 before the first commit', async () => {
      expect(plain(await store.list(''))).toEqual({ revision: 0, records: [] });
      expect(await store.get('a')).toBeUndefined();
    });

    it('gives a key back with its value and the revision it last changed at', async () => {
      await commit(put('a', 'one'));
      await commit(put('b', 'other'));
      expect(plain(await store.get('a'))).toEqual({ key: 'a', value: 'one', revision: 1 });
    });

    it('does not take the beginning of a key for the key', async () => {
      await commit(put('unit/a.service', ''));
      expect(await store.get('unit/a')).toBeUndefined();
      expect(await store.get('unit/a.service.d')).toBeUndefined();
    });

    it('lists in the order of the keys, whatever the order they came in', async () => {
      await commit(put('b'), put('a/2'), put('a'));
      await commit(put('a/1'), put('Z'), put('a/10'));
      expect(await keys('')).toEqual(['Z', 'a', 'a/1', 'a/10', 'a/2', 'b']);
    });

    const prefixes: [why: string, prefix: string, found: string[]][] = [
      ['a folder', 'unit/', ['unit/a', 'unit/b']],
      ['a prefix that is itself a key', 'unit', ['unit', 'unit-file/a', 'unit/a', 'unit/b', 'units/a']],
      ['a whole key', 'unit/b', ['unit/b']],
      ['nothing below it', 'unit/c', []],
      ['beyond the last key', 'v', []],
      ['before the first key', 'A', []],
    ];
    it.each(prefixes)('lists a prefix: %s', async (_why, prefix, found) => {
      await commit(...['unit/b', 'units/a', 'unit', 'unit/a', 'unit-file/a', 'm'].map((key) => put(key)));
      expect(await keys(prefix)).toEqual(found);
    });

    const parts: [why: string, prefixes: string[], found: string[]][] = [
      ['several, sorted', ['unit/b', 'm', 'unit/a'], ['m', 'unit/a', 'unit/b']],
      ['a prefix of another', ['unit/a', 'unit'], ['unit', 'unit-file/a', 'unit/a', 'unit/b', 'units/a']],
      ['one twice', ['m', 'm'], ['m']],
      ['one beside everything', ['m', ''], ['m', 'unit', 'unit-file/a', 'unit/a', 'unit/b', 'units/a', '🚀']],
      ['one of another script', ['🚀', 'x'], ['🚀']],
      [
        'a hundred',
        Array.from({ length: 100 }, (_, i) => `unit/${String.fromCharCode(97 + i)}`),
        ['unit/a', 'unit/b'],
      ],
      ['none', [], []],
    ];
    it.each(parts)('lists several prefixes: %s', async (_why, prefixes, found) => {
      const all = ['unit/b', 'units/a', 'unit', 'unit/a', 'unit-file/a', 'm', '🚀'];
      await commit(...all.map((key) => put(key)));
      const other = await tested.reopen();
      for (const each of [store, other]) {
        const { revision, records } = await each.list(...prefixes);
        expect([revision, records.map(({ key }) => key)]).toEqual([1, found]);
      }
      await other.close();
    });

    it('lists a part, then another one, then everything, at the latest revision', async () => {
      await commit(put('a/1'), put('b/1'), put('c'));
      const other = await tested.reopen();
      const listed = async (...prefixes: string[]) => {
        const { revision, records } = await other.list(...prefixes);
        return [revision, ...records.map(({ key }) => key)];
      };
      expect(await listed('a/')).toEqual([1, 'a/1']);
      await commit(put('a/2'), put('b/1', 'new', 1));
      expect(await listed('b/')).toEqual([2, 'b/1']);
      expect(plain(await other.get('b/1'))).toEqual({ key: 'b/1', value: 'new', revision: 2 });
      expect(await listed('a/', 'c')).toEqual([2, 'a/1', 'a/2', 'c']);
      expect(await other.commit([put('c', '', 1), put('d')])).toEqual({ kind: 'committed', revision: 3 });
      expect(await listed('')).toEqual([3, 'a/1', 'a/2', 'b/1', 'c', 'd']);
      expect(await listed('d')).toEqual([3, 'd']);
      await other.close();
    });

    it('keeps the rest when it knows a part and deletes all of that', async () => {
      await commit(...Array.from({ length: 300 }, (_, i) => put(`rest/${i}`)), put('a'));
      const other = await tested.reopen();
      await other.list('a');
      await other.commit([remove('a', 1)]);
      expect((await store.list('')).records).toHaveLength(300);
      expect((await other.list('')).records).toHaveLength(300);
      await other.close();
    });

    it('keeps a list as it was when a later commit changes the store', async () => {
      await commit(put('a', 'before'));
      const before = plain(await store.list(''));
      await commit(put('a', 'after', 1));
      expect(before).toEqual({ revision: 1, records: [{ key: 'a', value: 'before', revision: 1 }] });
    });

    it('shows another store over the same data what was committed, at once', async () => {
      const other = await tested.reopen();
      await commit(put('a', 'x'));
      expect(plain(await other.get('a'))).toEqual({ key: 'a', value: 'x', revision: 1 });
      await other.commit([put('a', 'y', 1)]);
      expect(plain(await store.get('a'))).toEqual({ key: 'a', value: 'y', revision: 2 });
      await other.close();
    });
  });

  describe(`${name}: values`, () => {
    const values: [what: string, value: string][] = [
      ['nothing', ''],
      ['line ends of every kind', 'one\ntwo\r\nthree\rfour\u2028five\u2029\n'],
      ['quotes, backslashes and control characters', '"\\"\\\\n\t\u0000\u0001\u001f\u007f'],
      ['other scripts and characters outside the basic plane', 'Grüße, 你好, 🚀, e\u0301'],
      ['something similar to a record', '{"key":"a","revision":1,"value":""}'],
      ['one MB', 'abcdefgh12345678'.repeat(65_536)],
    ];
    it.each(values)('are kept to the letter: %s', async (_what, value) => {
      await commit(put('a', value), put('b', 'untouched'));
      const again = await tested.reopen();
      expect((await again.get('a'))?.value).toBe(value);
      expect((await again.get('b'))?.value).toBe('untouched');
      await again.close();
    });

    it('may stand under any key', async () => {
      const odd = ['a b', 'a"b', 'a\\b', 'a\nb', '__proto__', 'constructor', 'é', '你好', '🚀'];
      await commit(...odd.map((key) => put(key, `value of ${key}`)));
      const again = await tested.reopen();
      for (const key of odd) expect((await again.get(key))?.value).toBe(`value of ${key}`);
      expect((await again.list('')).records).toHaveLength(odd.length);
      await again.close();
    });
  });

  describe(`${name}: revisions`, () => {
    it('rise by one with every commit that changes something, however many keys', async () => {
      expect(await commit(put('a'))).toEqual({ kind: 'committed', revision: 1 });
      expect(await commit(put('b'), put('c'))).toEqual({ kind: 'committed', revision: 2 });
      expect(await commit(remove('b', 2), put('d'))).toEqual({ kind: 'committed', revision: 3 });
      expect((await store.list('')).revision).toBe(3);
    });

    it('are given to all keys of a commit, and do not change others', async () => {
      await commit(put('a'));
      await commit(put('b'), put('c'));
      const { records } = await store.list('');
      expect(records.map(({ key, revision }) => [key, revision])).toEqual([
        ['a', 1],
        ['b', 2],
        ['c', 2],
      ]);
    });

    it('rise when a value is put again unchanged', async () => {
      await commit(put('a', 'same'));
      expect(await commit(put('a', 'same', 1))).toEqual({ kind: 'committed', revision: 2 });
    });

    it('are never used again, not even when everything is deleted', async () => {
      await commit(put('a'));
      await commit(remove('a', 1));
      const again = await tested.reopen();
      expect(plain(await again.list(''))).toEqual({ revision: 2, records: [] });
      expect(await again.commit([put('a')])).toEqual({ kind: 'committed', revision: 3 });
      await again.close();
    });

    const idle: [what: string, ...Change[]][] = [
      ['no changes at all'],
      ['a check of a key', check('a', 1)],
      ['a check that there is no such key', check('b', 0)],
      ['the deletion of a key that does not exist', remove('b', 0)],
    ];
    it.each(idle)('do not rise for %s', async (_what, ...changes) => {
      await commit(put('a'));
      expect(await commit(...changes)).toEqual({ kind: 'committed', revision: 1 });
      expect((await store.list('')).revision).toBe(1);
    });
  });

  describe(`${name}: conditions`, () => {
    const conflicts: [what: string, lost: string, ...Change[]][] = [
      ['a new key that exists', 'a', put('a', 'x', 0)],
      ['a change of an older revision', 'b', put('b', 'x', 1)],
      ['a change of a revision that never was', 'a', put('a', 'x', 7)],
      ['a change of a key that does not exist', 'c', put('c', 'x', 1)],
      ['a deletion of an older revision', 'b', remove('b', 1)],
      ['a deletion of a key taken to be absent', 'a', remove('a', 0)],
      ['a check of an older revision', 'b', check('b', 1)],
      ['a check that a key is absent', 'a', check('a', 0)],
      ['one of several', 'b', put('c', 'x', 0), check('b', 1), remove('a', 1)],
      ['the first of several', 'b', put('b', 'x', 1), remove('a', 2), put('c', 'x', 0)],
    ];
    it.each(conflicts)('refuse and change nothing: %s', async (_what, lost, ...changes) => {
      await commit(put('a', 'A'), put('b', 'B'));
      await commit(put('b', 'BB', 1));
      const before = plain(await store.list(''));
      expect(await commit(...changes)).toEqual({ kind: 'conflict', key: lost });
      expect(plain(await store.list(''))).toEqual(before);
    });

    it('let a commit through that meets all of them, and apply it as a whole', async () => {
      await commit(put('a', 'A'), put('b', 'B'), put('c', 'C'));
      await commit(put('b', 'BB', 1), remove('a', 1), put('d', 'D'), check('c', 1), check('e', 0));
      expect(plain(await store.list(''))).toEqual({
        revision: 2,
        records: [
          { key: 'b', value: 'BB', revision: 2 },
          { key: 'c', value: 'C', revision: 1 },
          { key: 'd', value: 'D', revision: 2 },
        ],
      });
    });

    it('hold for a key deleted and made again', async () => {
      await commit(put('a', 'old'));
      await commit(remove('a', 1));
      await commit(put('a', 'new'));
      expect(await commit(put('a', 'x', 1))).toEqual({ kind: 'conflict', key: 'a' });
      expect(await commit(put('a', 'x', 3))).toEqual({ kind: 'committed', revision: 4 });
    });

    const twice: [what: string, ...Change[]][] = [
      ['put twice', put('a', 'x'), put('a', 'y')],
      ['put and deleted', put('a', 'x'), remove('a', 0)],
      ['put and checked', check('a', 0), put('b'), put('a', 'x')],
    ];
    it.each(twice)('refuse a key that is %s in one commit, as an error', async (_what, ...changes) => {
      await expect(store.commit(changes)).rejects.toThrow(TypeError);
      expect(plain(await store.list(''))).toEqual({ revision: 0, records: [] });
      expect(await commit(put('a'))).toEqual({ kind: 'committed', revision: 1 });
    });
  });

  describe(`${name}: at the same time`, () => {
    it('exactly one of many commits on one key wins', async () => {
      const other = await tested.reopen();
      await commit(put('a', 'start'));
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 ? store : other).commit([put('a', `${i}`, 1)])),
      );
      const winners = results.flatMap((result, i) => (result.kind === 'committed' ? [i] : []));
      expect(winners).toHaveLength(1);
      expect(plain(await store.get('a'))).toEqual({ key: 'a', value: `${winners[0]}`, revision: 2 });
      await other.close();
    });

    it('commits on different keys all win, each with its own revision', async () => {
      const other = await tested.reopen();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 ? store : other).commit([put(`key ${i}`)])),
      );
      const revisions = results.map((result) => (result.kind === 'committed' ? result.revision : 0));
      expect(revisions.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
      expect((await store.list('')).records).toHaveLength(20);
      await other.close();
    });

    it('no list shows half a commit', async () => {
      const other = await tested.reopen();
      let writing = true;
      const writer = (async () => {
        for (let i = 0; i < 30; i++) await other.commit([put('a', `${i}`, i), put('b', `${i}`, i)]);
      })().finally(() => {
        writing = false;
      });
      let seen = 0;
      while (writing) {
        const { revision, records } = await store.list('a', 'b');
        expect(records.map(({ value }) => value)).toEqual(
          revision === 0 ? [] : [`${revision - 1}`, `${revision - 1}`],
        );
        expect(revision).toBeGreaterThanOrEqual(seen);
        seen = revision;
        await new Promise(setImmediate);
      }
      await writer;
      expect((await store.list('')).revision).toBe(30);
      await other.close();
    });

    it('closing waits for the commits under way', async () => {
      const commits = ['a', 'b', 'c'].map((key) => store.commit([put(key)]));
      await store.close();
      const other = await tested.reopen();
      expect((await other.list('')).revision).toBe(3);
      expect((await Promise.all(commits)).map(({ kind }) => kind)).toEqual([
        'committed',
        'committed',
        'committed',
      ]);
      await other.close();
    });
  });

  describe(`${name}: waiting for a change`, () => {
    const never = new AbortController().signal;

    it('ends at once when the revision is another already', async () => {
      await commit(put('a'));
      expect(await store.waitForChange(0, never)).toBe(true);
      expect(await store.waitForChange(7, never)).toBe(true);
    });

    it('ends with the next commit, of this store or another, on an empty store too', async () => {
      const other = await tested.reopen();
      const first = store.waitForChange(0, never);
      await other.commit([put('a')]);
      expect(await first).toBe(true);
      const second = [store.waitForChange(1, never), other.waitForChange(1, never)];
      await commit(put('b'));
      expect(await Promise.all(second)).toEqual([true, true]);
      await other.close();
    });

    it('ends soon after the commit, when it has been waiting for a while', async () => {
      const other = await tested.reopen();
      await commit(put('a'));
      const waiting = store.waitForChange(1, never);
      await new Promise((resolve) => setTimeout(resolve, 150));
      const since = performance.now();
      await other.commit([put('b')]);
      expect(await waiting).toBe(true);
      expect(performance.now() - since).toBeLessThan(2000);
      await other.close();
    });

    it('misses none of many commits, however slow the reader', async () => {
      const other = await tested.reopen();
      const writer = (async () => {
        for (let i = 0; i < 20; i++) await other.commit([put('a', `${i}`, i)]);
      })();
      let seen = 0;
      while (seen < 20) {
        expect(await store.waitForChange(seen, AbortSignal.timeout(5000))).toBe(true);
        seen = (await store.list('')).revision;
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      await writer;
      await other.close();
    });

    it('continues while nothing changes', async () => {
      await commit(put('a'));
      const waiting = store.waitForChange(1, AbortSignal.timeout(100));
      await commit(check('a', 1));
      await commit(put('a', 'conflict', 0));
      expect(await waiting).toBe(false);
    });

    it('ends with its signal, also one that was aborted before', async () => {
      const stop = new AbortController();
      const waiting = store.waitForChange(0, stop.signal);
      stop.abort();
      expect(await waiting).toBe(false);
      expect(await store.waitForChange(0, stop.signal)).toBe(false);
    });

    it('ends when the store is closed', async () => {
      const waiting = [store.waitForChange(0, never), store.waitForChange(0, never)];
      await store.close();
      expect(await Promise.all(waiting)).toEqual([false, false]);
    });
  });

  function commit(...changes: Change[]) {
    return store.commit(changes);
  }

  async function keys(prefix: string): Promise<string[]> {
    return (await store.list(prefix)).records.map(({ key }) => key);
  }
}

/** A change for tests: without `ifRevision` the key must be new. */
export function put(key: string, value = '', ifRevision = 0): Change {
  return { kind: 'put', key, value, ifRevision };
}

function remove(key: string, ifRevision: number): Change {
  return { kind: 'delete', key, ifRevision };
}

function check(key: string, ifRevision: number): Change {
  return { kind: 'check', key, ifRevision };
}
