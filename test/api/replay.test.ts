import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { House } from '../controller/support.ts';
import { idOf } from '../support/builders.ts';
import { Api } from './support.ts';

/** Machines as they were when fleet was recorded, and the ids they have here. */
const MACHINES = [
  { name: 'm1', address: '10.77.0.12', metadata: { region: 'a', role: 'db' } },
  { name: 'm2', address: '10.77.0.13', metadata: { region: 'b', role: 'web' } },
  { name: 'm3', address: '10.77.0.11', metadata: { region: 'a', role: 'web' } },
];
const IDS: Readonly<Record<string, string>> = {
  '3931123f59bb28f3285f0c589f79685f': idOf('m1'),
  '4b9e6343d3256ef6877f201be0a19a18': idOf('m2'),
  '8f990228f3272f91101bca34b9fb1352': idOf('m3'),
};

/** A request of the original fleetctl with the answer that it got; `body` is JSON, whole or its beginning. */
type Exchange = { method: string; path: string; sent: string; status: number; body: string };

const RECORDED = readFileSync(resolve(import.meta.dirname, '../fixtures/fleetctl-v1.txt'), 'utf8');

describe('what the original fleetctl asks', () => {
  it('is answered as fleet answered it', { timeout: 60_000 }, async () => {
    const house = new House(MACHINES);
    const api = await Api.of(house);
    await vi.waitFor(async () => expect((await api.get('/fleet/v1/machines')).status).toBe(200), 5_000);
    const exchanges = untilLast(readExchanges(RECORDED));
    expect(exchanges.length).toBeGreaterThan(40);
    for (const exchange of exchanges) {
      const { method, path, sent, status, body } = exchange;
      const headers = { 'content-type': 'application/json' };
      const ask = () => api.ask(method, path, sent === '' ? { headers } : { headers, body: sent });
      if (method !== 'GET') {
        expect({ exchange, ...(await ask()) }).toEqual({ exchange, status, body: body && JSON.parse(body) });
        continue;
      }
      await vi.waitFor(
        async () => {
          const said = await ask();
          expect({ exchange, status: said.status }).toEqual({ exchange, status });
          if (body.endsWith('…')) expect(ordered(said.body)).toContain(body.slice(0, -2));
          else expect({ exchange, body: said.body }).toEqual({ exchange, body: JSON.parse(body) });
        },
        { timeout: 10_000, interval: 20 },
      );
    }
    expect(api.bugs).toEqual([]);
  });
});

/** As fleet writes it: the keys of every object in their order. */
function ordered(value: unknown): string {
  return JSON.stringify(value, (_, held: unknown) =>
    typeof held === 'object' && held !== null && !Array.isArray(held)
      ? Object.fromEntries(Object.entries(held).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : held,
  );
}

/** While a client polls, what it sees on the way depends on time: only what it waits for has to come. */
function untilLast(exchanges: readonly Exchange[]): readonly Exchange[] {
  return exchanges.filter(({ method, path }, index) => {
    const next = exchanges[index + 1];
    return method !== 'GET' || next?.method !== 'GET' || next.path !== path;
  });
}

function readExchanges(text: string): readonly Exchange[] {
  const exchanges: Exchange[] = [];
  for (const line of text.split('\n')) {
    const last = exchanges.at(-1);
    const [, method, path] = /^> (GET|PUT|DELETE) (\S+)$/.exec(line) ?? [];
    if (method !== undefined && path !== undefined)
      exchanges.push({ method, path, sent: '', status: 0, body: '' });
    else if (last === undefined) continue;
    else if (line.startsWith('> ')) last.sent = line.slice(2);
    else if (/^< \d{3} /.test(line)) last.status = Number(line.slice(2, 5));
    else if (line.startsWith('< ')) last.body = withOurIds(line.slice(2));
  }
  return exchanges;
}

function withOurIds(text: string): string {
  return Object.entries(IDS).reduce((done, [theirs, ours]) => done.replaceAll(theirs, ours), text);
}
