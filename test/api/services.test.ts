import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { readSnapshot } from '../../src/api/snapshot.ts';
import { FleetError } from '../../src/base/errors.ts';
import { AWAY, House } from '../controller/support.ts';
import { desiredUnit, recordOf, systemdState } from '../support/builders.ts';
import { Api, open } from './support.ts';

const soon = { timeout: 10_000, interval: 10 };

let house: House;
let api: Api;

beforeEach(async () => {
  house = new House(['m1', 'm2']);
  api = await Api.of(house);
  await vi.waitFor(async () => expect((await api.get('/healthz')).status).toBe(200), soon);
});

describe('/healthz', () => {
  it('says why not, while the registry is away', async () => {
    expect((await api.get('/healthz')).body).toEqual({
      healthy: true,
      reasons: [],
      warnings: [],
      leads: true,
    });
    house.registryError = AWAY;
    expect(await api.get('/healthz')).toEqual({
      status: 503,
      body: { healthy: false, reasons: [expect.stringContaining(AWAY.message)], warnings: [], leads: true },
    });
    house.registryError = undefined;
    await vi.waitFor(async () => expect((await api.get('/healthz')).status).toBe(200), soon);
  });

  it('says that no machine answers, and is well again with the first that does', async () => {
    house.fakes.disconnect('m1');
    house.fakes.disconnect('m2');
    await vi.waitFor(async () => expect((await api.get('/healthz')).status).toBe(503), soon);
    expect((await api.get('/healthz')).body).toMatchObject({
      reasons: ['no machine is reachable, of 2: Cannot reach machine "m1"'],
    });
    house.fakes.of('m2').unreachable = undefined;
    await vi.waitFor(async () => expect((await api.get('/healthz')).status).toBe(200), soon);
  });

  it('warns of a machine that cannot be used, and stays 200', async () => {
    const message = 'an answer of more than 1 MiB';
    house.fakes.disconnect('m2', new FleetError('bad-answer', message));
    await vi.waitFor(async () => {
      expect(await api.get('/healthz')).toEqual({
        status: 200,
        body: { healthy: true, reasons: [], warnings: [expect.stringContaining(message)], leads: true },
      });
    }, soon);
    expect((await api.get('/metrics')).body).toMatch(/^fleet_machines\{state="unusable"\} 1$/m);
  });

  it('says that passes fail, again and again, and why', async () => {
    // Machines that have seen more of the registry than there is of it.
    await house.want('launched', '', 'first.service');
    const unit = desiredUnit('old.service', '', { token: 1_000 });
    house.fakes.of('m1').cluster = (await house.registry.load()).clusterId;
    house.fakes.of('m1').units.set('old.service', {
      text: unit.text,
      record: recordOf(unit),
      state: systemdState('running'),
    });
    await house.want('launched', '', 'a.service');
    await vi.waitFor(async () => expect((await api.get('/healthz')).status).toBe(503), soon);
    const { reasons } = Object((await api.get('/healthz')).body);
    expect(reasons.join('\n')).toMatch(/: The registry is older than /);
    // It is reported once, however often it happens.
    const failures = () => house.events.filter((event) => event.kind === 'pass-failed');
    await vi.waitFor(() => expect(failures().length).toBeGreaterThan(1), soon);
    expect(failures().filter((event) => !event.again).length).toBeLessThan(failures().length);
  });

  it('of a controller that stands by is about what it would need to lead', async () => {
    const standby = new House(['m1'], { leads: () => false });
    let error: FleetError | undefined;
    const its = await Api.of(standby, { leads: () => false, electionError: () => error });
    await vi.waitFor(async () => expect((await its.get('/healthz')).status).toBe(200), soon);
    expect((await its.get('/healthz')).body).toEqual({
      healthy: true,
      reasons: [],
      warnings: [],
      leads: false,
    });
    error = new FleetError('registry-unavailable', 'The etcd registry refused: permission denied');
    expect(await its.get('/healthz')).toEqual({
      status: 503,
      body: {
        healthy: false,
        leads: false,
        warnings: [],
        reasons: ['cannot stand for election: The etcd registry refused: permission denied'],
      },
    });
  });

  it('says that the loop is stuck', async () => {
    vi.spyOn(house.controller, 'isAwake', 'get').mockReturnValue(false);
    expect((await api.get('/healthz')).body).toMatchObject({ reasons: ['the control loop hangs'] });
  });
});

describe('/metrics', () => {
  it('counts what was done, and says how it is', async () => {
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    await vi.waitFor(async () => {
      const { body } = await api.get('/metrics');
      const lines = String(body).split('\n');
      expect(lines).toContain('# TYPE fleet_decisions_total counter');
      expect(lines).toContain('fleet_decisions_total{decision="place",reason="wanted"} 1');
      expect(lines).toContain('fleet_passes_total{result="done"} 1');
      expect(lines).toContain('fleet_changes_total{result="done"} 1');
      expect(lines).toContain('fleet_pass_seconds_count 1');
      expect(lines).toContain('fleet_leader 1');
      expect(lines).toContain('fleet_machines{state="reachable"} 2');
      expect(lines).toContain('fleet_units{target="launched"} 1');
      expect(lines).toContain('fleet_unit_states{active="active",sub="running"} 1');
    }, soon);
    house.fakes.disconnect('m2');
    await vi.waitFor(
      async () =>
        expect((await api.get('/metrics')).body).toMatch(/^fleet_machines\{state="unreachable"\} 1$/m),
      soon,
    );
  });
});

describe('/metrics of what fails', () => {
  it('is there from the beginning, at 0', async () => {
    const lines = String((await api.get('/metrics')).body).split('\n');
    for (const line of [
      'fleet_ssh_failures_total{reason="ssh-host-key"} 0',
      'fleet_ssh_failures_total{reason="ssh-authentication"} 0',
      'fleet_pass_failures_total{reason="registry-unavailable"} 0',
      'fleet_passes_total{result="with-failures"} 0',
      'fleet_refusals_total{status="400"} 0',
      'fleet_leaderships_given_up_total 0',
      'fleet_ssh_connects_total 0',
    ])
      expect(lines).toContain(line);
  });

  it('counts requests that were refused', async () => {
    await api.put('/fleet/v1/units/not-a-unit', {});
    await api.get('/fleet/v1/units/none.service');
    const { body } = await api.get('/metrics');
    expect(String(body).match(/^fleet_refusals_total\{.*\} [1-9]\d*$/gm)).toEqual([
      'fleet_refusals_total{status="400"} 1',
    ]);
  });
});

describe('/events', () => {
  it('tells decisions, outcomes and states while they happen, and what was missed', async () => {
    const stream = await listen();
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(kinds(stream.read())).toContain('unit-state'), soon);
    const told = stream.read();
    expect(kinds(told)).toEqual(expect.arrayContaining(['decided', 'outcome', 'pass-done']));
    const decided = told.find(({ event }) => event === 'decided');
    expect(decided?.data).toMatchObject({ unit: 'a.service', decision: 'place', to: { machine: 'm1' } });
    expect(told.find(({ event }) => event === 'unit-state')?.data).toEqual({
      unit: 'a.service',
      machine: 'm1',
      state: { load: 'loaded', active: 'active', sub: 'running' },
    });

    const again = await listen(decided?.id);
    const missed = told.slice(told.findIndex(({ id }) => id === decided?.id) + 1);
    await vi.waitFor(() => expect(again.read().slice(0, missed.length)).toEqual(missed), soon);
  });

  it('says that something is missing to who comes back after a new start', async () => {
    api.events.handle({ kind: 'connected' });
    const stream = await listen('earlier-17');
    await vi.waitFor(() => expect(kinds(stream.read()).at(-1)).toBe('connected'), soon);
    expect(kinds(stream.read())[0]).toBe('gap');
  });

  it('tells errors by code and message', async () => {
    const stream = await listen();
    house.registryError = AWAY;
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(kinds(stream.read())).toContain('registry-lost'), soon);
    const { data } = stream.read().find(({ event }) => event === 'registry-lost') ?? {};
    expect(data).toEqual({ error: { code: AWAY.code, message: AWAY.message } });
  });

  it('drops who does not read', async () => {
    const socket = connect({ path: api.socketPath });
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    socket.write('GET /events HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'readable');
    const closed = once(socket, 'close');
    // A unit whose name is long fills what the kernel and we hold for a reader.
    const unit = `${'x'.repeat(200)}.service`;
    for (let n = 0; n < 5_000; n++) {
      api.events.handle({ kind: 'unit-state', unit, machine: 'm1', state: undefined });
      if (n % 500 === 0) await new Promise(setImmediate);
    }
    socket.resume();
    await closed;
    const stream = await listen();
    api.events.handle({ kind: 'connected' });
    await vi.waitFor(() => expect(kinds(stream.read())).toEqual(['connected']), soon);
  });
});

describe('/fleet/v2/snapshot', () => {
  it('has what was wanted a moment ago done, and its age', async () => {
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const document = readSnapshot(JSON.stringify((await api.get('/fleet/v2/snapshot')).body));
    expect(document).toMatchObject({ version: 1, origin: 'here', leads: true });
    expect(document?.ageMs).toBeLessThan(1_000);
    const m1 = document?.snapshot.machines.find(({ machine }) => machine.name === 'm1');
    expect(m1?.observation?.units.map(({ name, state }) => [name, state.sub])).toEqual([
      ['a.service', 'running'],
    ]);
    expect(m1?.observation?.vitals?.systemd).toBe('252');
  });

  it('is nothing else', () => {
    for (const text of ['', '{', '[]', '{"version":2}', '{"version":1,"snapshot":{"units":[]}}'])
      expect(readSnapshot(text)).toBeUndefined();
  });
});

type Told = { readonly id: string; readonly event: string; readonly data: unknown };

const kinds = (told: readonly Told[]): readonly string[] => told.map(({ event }) => event);

/** Follows events; `read` is all there has been. */
async function listen(lastId?: string): Promise<{ read(): readonly Told[] }> {
  const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
  const response: IncomingMessage = await open({ socketPath: api.socketPath }, 'GET', '/events', { headers });
  expect(response.headers['content-type']).toBe('text/event-stream');
  onTestFinished(() => void response.destroy());
  let received = '';
  response.setEncoding('utf8').on('data', (piece: string) => {
    received += piece;
  });
  return { read: () => received.split('\n\n').slice(0, -1).flatMap(readEvent) };
}

function readEvent(block: string): readonly Told[] {
  const fields = new Map(block.split('\n').map((line) => [line.split(': ')[0], line.replace(/^\w*: /, '')]));
  const data = fields.get('data');
  if (data === undefined) return [];
  return [{ id: fields.get('id') ?? '', event: fields.get('event') ?? '', data: JSON.parse(data) }];
}
