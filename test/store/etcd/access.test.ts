import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EtcdOptions } from '../../../src/store/etcd/options.ts';
import { openEtcdStore } from '../../../src/store/etcd/store.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { HAS_ETCD, TestEtcd } from '../../support/etcd.ts';
import { put } from '../conformance.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-access-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a store says when it is read and cannot be: all of it, as people and logs get to see it. */
async function refusalOf(options: EtcdOptions): Promise<{ message: string; hint: string }> {
  const store = openEtcdStore(options);
  const error = await store.list('').then(
    () => new Error('it was read'),
    (refusal: Error & { hint?: string }) => refusal,
  );
  await store.close();
  return { message: error.message, hint: `${Object(error).hint}` };
}

async function writesAndReads(options: EtcdOptions): Promise<void> {
  const store = openEtcdStore(options);
  expect(await store.commit([put('a', 'x')])).toEqual({ kind: 'committed', revision: 1 });
  expect((await store.get('a'))?.value).toBe('x');
  await store.close();
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe.runIf(HAS_ETCD)('an etcd with users', () => {
  let etcd: TestEtcd;
  let mine: Partial<EtcdOptions>;

  beforeAll(async () => {
    etcd = await TestEtcd.start({ arguments: ['--auth-token-ttl=1'] });
    mine = { prefix: '/mine', etcd_user: 'fleet', etcd_password_file: file('password', 'very secret\n') };
    for (const [name, password] of [
      ['root', 'root'],
      ['fleet', 'very secret'],
    ]) {
      await etcd.post('auth/user/add', { name, password });
      await etcd.post('auth/role/add', { name });
      await etcd.post('auth/user/grant', { user: name, role: name });
    }
    const key = (text: string): string => Buffer.from(text).toString('base64');
    const perm = { permType: 'READWRITE', key: key('/mine/'), range_end: key('/mine0') };
    await etcd.post('auth/role/grant', { name: 'fleet', perm });
    await etcd.post('auth/enable', {});
  });
  afterAll(() => etcd.end());

  it('lets the user in', () => writesAndReads(etcd.options(mine)));

  it('gives a new token when the old one has expired, or its process is another', async () => {
    const store = openEtcdStore(etcd.options(mine));
    const { revision } = await store.list('');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect((await store.list('')).revision).toBe(revision);
    await etcd.members[0]?.kill();
    etcd.members[0]?.start();
    await etcd.ready();
    expect(await store.commit([put('later')])).toEqual({ kind: 'committed', revision: revision + 1 });
    await store.close();
  });

  it('refuses a wrong password, which is not told', async () => {
    const passwordFile = file('wrong', 'very wrong');
    const { message, hint } = await refusalOf(etcd.options({ ...mine, etcd_password_file: passwordFile }));
    expect(message).toMatch(/^The etcd registry refused: .*invalid user ID or password/);
    expect(hint).toBe('check etcd_user and etcd_password_file in fleet.conf');
    expect(message + hint).not.toContain('very wrong');
  });

  it('refuses unknown users', async () => {
    const { hint } = await refusalOf(etcd.options({ prefix: '/mine' }));
    expect(hint).toBe('this etcd wants a user: set etcd_user and etcd_password_file in fleet.conf');
  });

  it('refuses another prefix', async () => {
    const { message, hint } = await refusalOf(etcd.options({ ...mine, prefix: '/theirs' }));
    expect(message).toContain('permission denied');
    expect(hint).toMatch(/read and write access to the prefix/);
  });
});

describe.runIf(HAS_ETCD)('an etcd with TLS and client certificates', () => {
  let etcd: TestEtcd;
  let certificates: Certificates;
  let known: Partial<EtcdOptions>;

  beforeAll(async () => {
    certificates = makeCertificates(folder);
    const { ca, server, client } = certificates;
    etcd = await TestEtcd.start({ tls: { ca, ...server } });
    known = { tls: true, etcd_ca_file: ca, etcd_cert_file: client.cert, etcd_key_file: client.key };
  });
  afterAll(() => etcd.end());

  it('lets a certificate of its CA in', () => writesAndReads(etcd.options(known)));

  it('is not trusted under another CA', async () => {
    const { message, hint } = await refusalOf(etcd.options({ ...known, etcd_ca_file: certificates.otherCa }));
    expect(message).toMatch(/^Cannot reach the etcd registry: 127\.0\.0\.1:\d+ \(/);
    expect(hint).toBe('check that etcd_ca_file in fleet.conf is the CA of this etcd');
  });

  it('is not trusted without a CA of ours', async () => {
    const { etcd_ca_file: _, ...rest } = known;
    expect((await refusalOf(etcd.options({ ...rest }))).hint).toContain('etcd_ca_file');
  });

  it('is not trusted with a certificate that is over, and the CA is not blamed', async () => {
    const { cert, key } = certificates.expired;
    const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const endpoints = [{ host: '127.0.0.1', port }];
    const { message, hint } = await refusalOf({
      endpoints,
      prefix: '/fleet',
      tls: true,
      etcd_ca_file: certificates.ca,
    });
    server.close();
    expect(message).toContain('certificate has expired');
    expect(hint).toMatch(/^renew the certificate of etcd/);
  });

  it('refuses those without a certificate', async () => {
    const { hint } = await refusalOf(etcd.options({ tls: true, etcd_ca_file: certificates.ca }));
    expect(hint).toContain('check etcd_cert_file and etcd_key_file in fleet.conf');
  });

  it('is not reached without TLS', async () => {
    expect((await refusalOf(etcd.options())).hint).toContain('etcds://');
  });

  it.each(['etcd_ca_file', 'etcd_cert_file', 'etcd_password_file'])('needs a %s that can be read', (key) => {
    const gone = join(folder, 'gone');
    expect(() => openEtcdStore(etcd.options({ ...known, [key]: gone }))).toThrow(
      `Cannot read ${key} "${gone}": ENOENT`,
    );
  });

  it('takes no file for a certificate that is none', async () => {
    const { message } = await refusalOf(etcd.options({ ...known, etcd_cert_file: file('no-cert', 'hello') }));
    expect(message).toMatch(/^Cannot reach the etcd registry/);
  });
});

describe.runIf(HAS_ETCD)('something else than what was named', () => {
  it('is an etcd without TLS', async () => {
    const etcd = await TestEtcd.start();
    expect((await refusalOf(etcd.options({ tls: true }))).hint).toMatch(/etcds:\/\//);
    await etcd.end();
  });

  it.each([
    ['that knows nothing', 404, 'Not Found', 'not an answer of etcd: HTTP 404', /JSON gateway/],
    ['that likes everything', 200, '{}', 'not an answer of etcd', /check that etcd runs/],
    ['that shows a page', 200, '<html>', 'not an answer of etcd', /check that etcd runs/],
  ])('is a web server %s', async (_, status, body, why, expected) => {
    const server = createServer((_request, response) => response.writeHead(status).end(body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const endpoints = [{ host: '127.0.0.1', port }];
    const { message, hint } = await refusalOf({ endpoints, prefix: '/fleet', tls: false });
    expect(message).toBe(`Cannot reach the etcd registry: 127.0.0.1:${port} (${why})`);
    expect(hint).toMatch(expected);
    server.close();
  });
});
