import { afterAll, beforeAll, describe } from 'vitest';
import { openEtcdStore } from '../../../src/store/etcd/store.ts';
import { HAS_ETCD, TestEtcd } from '../../support/etcd.ts';
import { describeStore } from '../conformance.ts';

describe.runIf(HAS_ETCD)('with a real etcd', () => {
  let etcd: TestEtcd;
  beforeAll(async () => {
    etcd = await TestEtcd.start();
  });
  afterAll(() => etcd.end());

  describeStore('etcd store', async () => {
    const options = etcd.options();
    const store = openEtcdStore(options);
    const opened = [store];
    const reopen = async () => {
      const other = openEtcdStore(options);
      opened.push(other);
      return other;
    };
    const tearDown = async () => {
      await Promise.all(opened.map((each) => each.close()));
    };
    return { store, reopen, tearDown };
  });
});
