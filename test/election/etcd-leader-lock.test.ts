import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { etcdLeaderLock } from '../../src/election/etcd-leader-lock.ts';
import { campaign } from '../../src/election/leadership.ts';
import { probeEtcd } from '../../src/store/etcd/store.ts';
import { HAS_ETCD, TestEtcd } from '../support/etcd.ts';
import { describeLeaderLock, TTL } from './conformance.ts';

describe.runIf(HAS_ETCD)('with a real etcd', () => {
  let etcd: TestEtcd;
  beforeAll(async () => {
    etcd = await TestEtcd.start();
  });
  afterAll(() => etcd.end());

  describeLeaderLock('leader lock in etcd', () => {
    const options = etcd.options();
    return { open: () => etcdLeaderLock(options, TTL) };
  });

  it('is lost when the key is removed by hand', async () => {
    const options = etcd.options();
    const lock = etcdLeaderLock(options, TTL);
    const leadership = await campaign(lock, { signal: AbortSignal.timeout(3000) });
    await etcd.post('kv/deleterange', { key: Buffer.from(`${options.prefix}/leader`).toString('base64') });
    await expect.poll(() => leadership?.isHeld()).toBe(false);
    await leadership?.resign();
    await lock.close();
  });

  it('is given up in time when etcd does not answer, and won again when it does', async () => {
    const options = etcd.options();
    const lock = etcdLeaderLock(options, TTL);
    const leadership = await campaign(lock, { signal: AbortSignal.timeout(3000) });
    await etcd.members[0]?.freeze();
    try {
      await sleep(TTL * 1.2);
      expect(leadership?.lost.aborted).toBe(true);
    } finally {
      etcd.members[0]?.thaw();
    }
    await leadership?.resign();
    const again = await campaign(lock, { signal: AbortSignal.timeout(5000) });
    expect(again?.isHeld()).toBe(true);
    await again?.resign();
    await lock.close();
  });

  it.each([
    ['a key without a lease', { host: 'old', pid: 7 }, /it has no lease, so it never expires$/],
    ['a key of something else', 'mine', /its value is not that of a leader$/],
  ])('says that %s is in its place', async (_, value, message) => {
    const options = etcd.options();
    const lock = etcdLeaderLock(options, TTL);
    const key = base64(`${options.prefix}/leader`);
    await etcd.post('kv/put', { key, value: base64(JSON.stringify(value)) });
    for (const asking of [() => campaign(lock, { signal: AbortSignal.timeout(3000) }), () => lock.probe()]) {
      await expect(asking()).rejects.toMatchObject({
        code: 'registry-corrupt',
        message: expect.stringMatching(message),
        hint: expect.stringContaining(`etcdctl del ${options.prefix}/leader`),
      });
    }
    expect(await etcd.post('kv/range', { key })).toMatchObject({ count: '1' });
    await lock.close();
  });

  it('is probed without taking it, and while another one has it', async () => {
    const options = etcd.options();
    const [lock, other] = [etcdLeaderLock(options, TTL), etcdLeaderLock(options, TTL)];
    await lock.probe();
    await probeEtcd(options);
    expect(
      await etcd.post('kv/range', { key: base64(options.prefix), range_end: base64(`${options.prefix}0`) }),
    ).not.toHaveProperty('kvs');
    expect(await lock.take()).toBe(true);
    await other.probe();
    expect(await lock.renew()).toBe(true);
    await lock.leave();
    await Promise.all([lock.close(), other.close()]);
  });
});

describe.runIf(HAS_ETCD)('a user of etcd who may only read', () => {
  it('gets that error, by a campaign and by a probe', async ({ onTestFinished }) => {
    const etcd = await TestEtcd.start();
    onTestFinished(() => etcd.end());
    const folder = mkdtempSync(join(tmpdir(), 'fleet-lock-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'password'), 'secret');
    for (const [name, password] of [
      ['root', 'root'],
      ['reader', 'secret'],
    ]) {
      await etcd.post('auth/user/add', { name, password });
      await etcd.post('auth/role/add', { name });
      await etcd.post('auth/user/grant', { user: name, role: name });
    }
    const perm = { permType: 'READ', key: base64('/mine/'), range_end: base64('/mine0') };
    await etcd.post('auth/role/grant', { name: 'reader', perm });
    await etcd.post('auth/enable', {});
    const passwordFile = join(folder, 'password');
    const options = etcd.options({ prefix: '/mine', etcd_user: 'reader', etcd_password_file: passwordFile });
    const lock = etcdLeaderLock(options, TTL);
    const denied = {
      code: 'registry-unavailable',
      message: 'The etcd registry refused: etcdserver: permission denied',
    };
    await expect(campaign(lock, { signal: AbortSignal.timeout(3000) })).rejects.toMatchObject(denied);
    await expect(lock.probe()).rejects.toMatchObject(denied);
    await expect(probeEtcd(options)).rejects.toMatchObject(denied);
    await lock.close();
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
