import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { campaign } from '../../src/lease/campaign.ts';
import { etcdSeat } from '../../src/lease/etcd-seat.ts';
import { HAS_ETCD, TestEtcd } from '../support/etcd.ts';
import { describeSeat, TTL } from './conformance.ts';

describe.runIf(HAS_ETCD)('with a real etcd', () => {
  let etcd: TestEtcd;
  beforeAll(async () => {
    etcd = await TestEtcd.start();
  });
  afterAll(() => etcd.end());

  describeSeat('seat in etcd', () => {
    const options = etcd.options();
    return { open: () => etcdSeat(options, TTL) };
  });

  it('is lost when somebody removes the key by hand', async () => {
    const options = etcd.options();
    const seat = etcdSeat(options, TTL);
    const leadership = await campaign(seat, { signal: AbortSignal.timeout(3000) });
    await etcd.post('kv/deleterange', { key: Buffer.from(`${options.prefix}/leader`).toString('base64') });
    await expect.poll(() => leadership?.isHeld()).toBe(false);
    await leadership?.resign();
    await seat.close();
  });

  it('is given up in time when etcd does not answer, and won again when it does', async () => {
    const options = etcd.options();
    const seat = etcdSeat(options, TTL);
    const leadership = await campaign(seat, { signal: AbortSignal.timeout(3000) });
    await etcd.members[0]?.freeze();
    try {
      await sleep(TTL * 1.2);
      expect(leadership?.lost.aborted).toBe(true);
    } finally {
      etcd.members[0]?.thaw();
    }
    await leadership?.resign();
    const again = await campaign(seat, { signal: AbortSignal.timeout(5000) });
    expect(again?.isHeld()).toBe(true);
    await again?.resign();
    await seat.close();
  });
});
