import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ListenPlace } from '../../src/config/places.ts';
import { House } from '../controller/support.ts';
import { Api, type Asking, ask, freePort, open } from './support.ts';

const UNIT = '/fleet/v1/units/a.service';
const WANTED = {
  body: JSON.stringify({
    desiredState: 'inactive',
    options: [{ name: 'ExecStart', section: 'Service', value: '/bin/sleep 1000' }],
  }),
};
const soon = { timeout: 10_000, interval: 10 };

let api: Api;
let commands: number;
let reads: number;

beforeEach(async () => {
  [commands, reads] = [await freePort(), await freePort()];
  const at = (port: number): ListenPlace => ({ kind: 'tcp', host: '127.0.0.1', port });
  api = await Api.of(new House(['m1']), {
    names: ['control.lan'],
    commands: at(commands),
    reads: at(reads),
  });
  await vi.waitFor(async () => expect((await api.get('/healthz')).status).toBe(200), soon);
});

function put(port: number, headers: Asking['headers']) {
  const all = { 'content-type': 'application/json', ...headers };
  return ask({ host: '127.0.0.1', port }, 'PUT', UNIT, { ...WANTED, headers: all });
}

describe('a request over plain TCP', () => {
  it.each(['evil.example', `evil.example:80`, '127.0.0.1.evil.example', 'localhost.evil.example'])(
    'for the host "%s" is refused',
    async (host) => {
      const refusal = {
        status: 403,
        body: { error: { code: 403, message: expect.stringContaining('listen_names') } },
      };
      expect(await put(commands, { host })).toEqual(refusal);
      expect(await ask({ host: '127.0.0.1', port: reads }, 'GET', UNIT, { headers: { host } })).toEqual(
        refusal,
      );
      expect((await api.get(UNIT)).status).toBe(404);
    },
  );

  it.each([
    'localhost',
    'LOCALHOST:99',
    '127.0.0.1',
    '[::1]:80',
    '10.1.2.3',
    'control.lan',
    'control.lan.:80',
    hostname(),
  ])('for the host "%s" is answered', async (host) =>
    expect((await put(commands, { host })).status).toBe(201),
  );
});

describe('a browser', () => {
  it.each(['cross-site', 'same-site', 'same-origin'])('is refused for a page (%s)', async (site) => {
    const headers = { 'sec-fetch-site': site };
    expect((await put(commands, headers)).status).toBe(403);
    expect((await api.ask('GET', '/healthz', { headers })).status).toBe(403);
  });

  it('may show what a person asks for, and change nothing', async () => {
    const headers = { 'sec-fetch-site': 'none' };
    expect((await put(commands, headers)).status).toBe(403);
    expect((await api.ask('GET', '/healthz', { headers })).status).toBe(200);
  });
});

describe('listen_read_only', () => {
  it('answers what is asked, and changes nothing', async () => {
    const where = { host: '127.0.0.1', port: reads };
    for (const path of ['/metrics', '/healthz', '/fleet/v2/snapshot', '/fleet/v1/units'])
      expect([path, (await ask(where, 'GET', path)).status]).toEqual([path, 200]);
    const methods = ['PUT', 'DELETE', 'POST', 'PATCH', 'OPTIONS'];
    for (const method of methods)
      expect([method, (await ask(where, method, UNIT)).status]).toEqual([method, 405]);
    expect((await put(reads, {})).status).toBe(405);
    expect((await api.get(UNIT)).status).toBe(404);
  });
});

describe('many clients', () => {
  it('that read events leave room for all that is asked', async () => {
    const readers = await Promise.all(
      Array.from({ length: 300 }, () => open({ host: '127.0.0.1', port: commands }, 'GET', '/events')),
    );
    onTestFinished(() => readers.forEach((reader) => void reader.destroy()));
    expect(readers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(64);
    await expectPrompt();
    // Who has come is not sent away for it.
    expect(readers.filter((reader) => reader.statusCode === 200 && reader.closed)).toEqual([]);
    readers[readers.findIndex(({ statusCode }) => statusCode === 200)]?.destroy();
    await vi.waitFor(async () => {
      const next = await open({ host: '127.0.0.1', port: commands }, 'GET', '/events');
      next.destroy();
      expect(next.statusCode).toBe(200);
    }, soon);
  });

  it.each([
    ['a request line', ''],
    ['the rest of a header', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: '],
    [
      'the rest of a body',
      `PUT ${UNIT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{`,
    ],
    ['a second request', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ])('that are waited for with %s leave room for others', async (_, said) => {
    const sockets = await Promise.all(Array.from({ length: 300 }, () => slow(commands, said)));
    onTestFinished(() => sockets.forEach((socket) => void socket.destroy()));
    await expectPrompt();
  });
});

/** The time that an answer takes is far from what clients are waited for. */
async function expectPrompt(): Promise<void> {
  const started = performance.now();
  expect((await ask({ host: '127.0.0.1', port: commands }, 'GET', '/healthz')).status).toBe(200);
  expect(performance.now() - started).toBeLessThan(5_000);
}

async function slow(port: number, said: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port }).on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(said);
  return socket;
}
