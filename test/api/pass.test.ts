import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Endpoint } from '../../src/api/client.ts';
import { type AnnouncedPass, announcePass } from '../../src/api/pass-client.ts';
import type { PassEvent } from '../../src/reconcile/events.ts';
import type { PassRequest } from '../../src/reconcile/pass.ts';
import { House } from '../controller/support.ts';
import { idOf } from '../support/builders.ts';
import { Api, freePort } from './support.ts';

const soon = { timeout: 10_000, interval: 10 };
/** Less than the time for which units wait for an announced pass. */
const quick = { timeout: 1_500, interval: 10 };
const LIMITS = { firstMs: 5_000, laterMs: 5_000 };

let house: House;
let api: Api;
let leads: boolean;

beforeEach(async () => {
  leads = true;
  house = new House(['m1', 'm2'], { leads: () => leads });
  api = await Api.of(house, { leads: () => leads });
  await vi.waitFor(() => expect(house.controller.snapshot).toBeDefined(), soon);
  await house.want('inactive', '', 'first.service');
});

function announce(place: Partial<Endpoint> = {}, limits = LIMITS): AnnouncedPass {
  const endpoint = { name: 'here', options: { socketPath: api.socketPath }, tls: false, ...place };
  const pass = announcePass(endpoint, limits);
  onTestFinished(() => pass.close());
  return pass;
}

async function requestFor(units: readonly string[], more: Partial<PassRequest> = {}): Promise<PassRequest> {
  const { clusterId, revision, token } = await house.registry.load();
  const waits = { blocks: true, ms: undefined, settleMs: 0 };
  const actions = new Map(units.map((unit) => [unit, 'start'] as const));
  return { units: new Set(units), actions, waits, author: 'you@there', clusterId, revision, token, ...more };
}

const none = (): void => undefined;

describe('a pass of a client', () => {
  it('is answered with the machines, its events and its report, and recorded as of its user', async () => {
    const pass = announce();
    const ready = await pass.ready;
    const machines = [{ id: idOf('m1') }, { id: idOf('m2') }];
    const { clusterId } = await house.registry.load();
    expect(ready).toMatchObject({ origin: 'here', clusterId, machines });
    await house.want('launched', '', 'a.service');
    const events: PassEvent[] = [];
    const end = await pass.run(await requestFor(['a.service']), (event) => void events.push(event));
    expect(end).toMatchObject({
      kind: 'report',
      report: { outcomes: [{ unit: 'a.service', machine: 'm1', state: { active: 'active' } }] },
    });
    expect(events.map(({ kind }) => kind)).toEqual([
      'pass-begun',
      ...['machine-asked', 'machine-asked', 'machine-answered', 'machine-answered'],
      ...['decided', 'planned', 'wave-begun', 'changes-sent', 'outcome', 'pass-done'],
    ]);
    const entry = (await house.registry.load()).events.find((each) =>
      each.events.some(({ kind }) => kind === 'place'),
    );
    expect(entry?.by).toBe('you@there');
    expect(house.kinds()).toContain('outcome');
  });

  it('opens no session for the start, the stop and the removal of a unit', async () => {
    for (const target of ['launched', 'loaded', 'inactive'] as const) {
      const pass = announce();
      await pass.ready;
      await house.want(target, '', 'a.service');
      await new Promise((resolve) => setTimeout(resolve, 20));
      const connect = vi.spyOn(house.fakes.driver, 'connect');
      const actions = new Map([['a.service', target === 'launched' ? 'start' : 'stop']] as const);
      const end = await pass.run(await requestFor(['a.service'], { actions }), none);
      expect(end?.kind === 'report' && end.report.outcomes.length).toBe(1);
      expect(connect).not.toHaveBeenCalled();
      connect.mockRestore();
      await house.controller.observe();
    }
  });

  it('is the only one over the units that the client changed', async () => {
    const pass = announce();
    await pass.ready;
    await house.want('launched', '', 'a.service');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(house.kinds()).not.toContain('pass-begun');
    await pass.run(await requestFor(['a.service']), none);
    await house.controller.observe();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(house.kinds().filter((kind) => kind === 'pass-begun')).toHaveLength(1);
  });

  it('delays only units that are changed after it was announced', async () => {
    house.fakes.disconnect('m2');
    await house.want('launched', '', 'before.service');
    await vi.waitFor(() => expect(house.runs('before.service')).toEqual(['m1']), soon);
    const pass = announce();
    await pass.ready;
    house.fakes.of('m1').units.delete('before.service');
    await vi.waitFor(() => expect(house.runs('before.service')).toEqual(['m1']), quick);
  });

  it('is not waited for when its client is gone', async () => {
    const pass = announce();
    await pass.ready;
    await house.want('launched', '', 'a.service');
    pass.close();
    await vi.waitFor(() => expect(house.runs('a.service')).toHaveLength(1), quick);
  });

  it('is not waited for longer than two seconds', async () => {
    await announce().ready;
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toHaveLength(1), soon);
  });

  it('begins no further wave when its client is gone', async () => {
    await house.want('launched', 'Global=true', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1', 'm2']), soon);
    await house.controller.observe();
    const pass = announce();
    await pass.ready;
    house.events.length = 0;
    house.changeMs = 200;
    const actions = new Map([['a.service', 'restart']] as const);
    const request = await requestFor(['a.service'], { actions, maxParallel: 1 });
    const end = await pass.run(request, ({ kind }) => {
      if (kind === 'changes-sent') pass.close();
    });
    expect(end).toBeUndefined();
    await vi.waitFor(() => expect(house.kinds()).toContain('pass-done'), soon);
    expect(house.events.flatMap((event) => (event.kind === 'changes-sent' ? event.machine : []))).toEqual([
      'm1',
    ]);
  });

  it('ends with an error in another registry, a copy, or an older state of it', async () => {
    const { token } = await house.registry.load();
    for (const change of [{ clusterId: 'other' }, { token: token + 1_000_000 }, { revision: 1_000 }]) {
      const end = await announce().run(await requestFor(['a.service'], change), none);
      expect(end?.kind === 'error' && end.error.code).toBe('endpoint');
    }
  });

  it('is refused by a standby, and by one that lost the leadership meanwhile', async () => {
    const pass = announce();
    await pass.ready;
    leads = false;
    const end = await pass.run(await requestFor(['first.service']), none);
    expect(end?.kind).toBe('error');
    expect(await announce().ready).toBe('refuses: "this fleetd is on standby"');
  });

  it('is refused where nothing can be changed', async () => {
    const port = await freePort();
    const reads = await Api.of(house, { reads: { kind: 'tcp', host: '127.0.0.1', port } });
    expect(reads.bugs).toEqual([]);
    expect(await announce({ options: { host: '127.0.0.1', port } }).ready).toMatch(/^refuses: /);
  });

  it('is refused after 64 others, and possible again after the end of one', async () => {
    const others = Array.from({ length: 64 }, () => announce());
    for (const { ready } of others) expect(await ready).toMatchObject({ kind: 'ready' });
    expect(await announce().ready).toBe('refuses: "this fleetd runs no pass now"');
    others[0]?.close();
    await vi.waitFor(async () => expect(await announce().ready).toMatchObject({ kind: 'ready' }), soon);
  });

  it('is refused for a request that cannot be read', async () => {
    const end = await announce().run(await requestFor(['../x']), none);
    expect(end?.kind).toBe('error');
    expect(api.bugs).toEqual([]);
  });
});

describe('a client', () => {
  it('gives up on a controller that does not answer, or falls silent', async () => {
    const { createServer } = await import('node:http');
    const server = createServer((request, response) => {
      if (request.headers.host !== 'hung')
        response.write('{"kind":"ready","version":3,"origin":"x","machines":[]}\n');
    });
    const port = await freePort();
    server.listen(port, '127.0.0.1');
    onTestFinished(() => void server.closeAllConnections());
    onTestFinished(() => void server.close());
    const limits = { firstMs: 200, laterMs: 200 };
    const hung = announce({ options: { host: '127.0.0.1', port, headers: { host: 'hung' } } }, limits);
    expect(await hung.ready).toBe('it does not answer within 0.2 s');
    const silent = announce({ options: { host: '127.0.0.1', port } }, { firstMs: 5_000, laterMs: 200 });
    expect(await silent.ready).toMatchObject({ kind: 'ready' });
    expect(await silent.run(await requestFor(['a.service']), none)).toBeUndefined();
  });
});
