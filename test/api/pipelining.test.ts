import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { House } from '../controller/support.ts';
import { Api } from './support.ts';

const CONNECTIONS = 20;
const BLOCK = 50;
const ATTACK_MS = 250;
/** On a busy box, where the clients share the process with the server. */
const MOST_MS = 5_000;
const soon = { timeout: 10_000, interval: 10 };

it.each(['/fleet/v2/snapshot', '/fleet/v1/state', '/fleet/v1/units', '/metrics', '/healthz'])(
  'clients that ask for %s without end hold nothing up, and leave nothing to do',
  async (path) => {
    const house = new House(['m1', 'm2']);
    const api = await Api.of(house);
    const units = Array.from({ length: 200 }, (_, n) => `u${n}.service`);
    await house.want('inactive', '', ...units);
    await vi.waitFor(async () => expect((await api.get('/healthz')).status).toBe(200), soon);

    const load = vi.spyOn(house.watchedRegistry, 'load');
    const end = attack(api.socketPath, path);
    for (const ends = performance.now() + ATTACK_MS; performance.now() < ends; await sleep(50)) {
      const asked = performance.now();
      expect((await api.get('/healthz')).status).toBe(200);
      expect(performance.now() - asked).toBeLessThan(MOST_MS);
    }
    end();

    await sleep(1_000);
    load.mockClear();
    await sleep(500);
    // A controller that nothing changes for looks at its registry once a change.
    expect(load.mock.calls.length).toBeLessThan(20);
    expect(api.bugs).toEqual([]);
  },
);

it('a connection has one request, and says so', async () => {
  const api = await Api.of(new House(['m1']));
  const socket = connect({ path: api.socketPath });
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(2));
  let said = '';
  socket.setEncoding('utf8').on('data', (piece) => {
    said += piece;
  });
  await once(socket, 'close');
  expect(said.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
  expect(said).toMatch(/^connection: close\r$/im);
});

/** Sends blocks of requests over many connections, each replaced when it is closed; resolves to what ends it. */
function attack(socketPath: string, path: string): () => void {
  const block = `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(BLOCK);
  const open = new Set<Socket>();
  let isOver = false;
  const begin = (): void => {
    const socket = connect({ path: socketPath }, () => socket.write(block));
    open.add(socket);
    socket.on('data', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      open.delete(socket);
      if (!isOver) setTimeout(begin, 10);
    });
  };
  for (let n = 0; n < CONNECTIONS; n++) begin();
  return () => {
    isOver = true;
    for (const socket of open) socket.destroy();
  };
}
