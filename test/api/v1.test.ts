import { beforeEach, describe, expect, it, vi } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import { AWAY, House } from '../controller/support.ts';
import { idOf } from '../support/builders.ts';
import { Api, type Asking } from './support.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const SLEEP = [{ name: 'ExecStart', section: 'Service', value: '/bin/sleep 1000' }];
const UNITS = '/fleet/v1/units';
const soon = { timeout: 10_000, interval: 10 };

let house: House;
let api: Api;

beforeEach(async () => {
  house = new House(['m1', 'm2']);
  api = await Api.of(house);
  await vi.waitFor(async () => expect((await api.get(UNITS)).status).toBe(200), soon);
});

/** Requests as they were sent to fleet with curl, and what it answered; the last word says where we differ. */
const REFUSED: readonly (readonly [
  what: string,
  method: string,
  path: string,
  asking: Asking,
  error: object,
])[] = [
  [
    'a token that is none',
    'GET',
    `${UNITS}?nextPageToken=bogus`,
    {},
    refusal(400, 'illegal base64 data at input byte 4'),
  ],
  [
    'a token that is none, of machines',
    'GET',
    '/fleet/v1/machines?nextPageToken=bogus',
    {},
    refusal(400, 'illegal base64 data at input byte 4'),
  ],
  [
    'a new unit without options',
    'PUT',
    `${UNITS}/new.service`,
    body({ desiredState: 'inactive' }),
    refusal(409, 'unit does not exist and options field empty'),
  ],
  [
    'a new unit with no options',
    'PUT',
    `${UNITS}/new.service`,
    body({ desiredState: 'launched', options: [] }),
    refusal(409, 'unit does not exist and options field empty'),
  ],
  [
    'a bad name',
    'PUT',
    `${UNITS}/bad%20name.service`,
    body({ options: SLEEP }),
    refusal(400, "invalid character ' ' in unit name"),
  ],
  [
    'two names',
    'PUT',
    `${UNITS}/new.service`,
    body({ name: 'other.service', options: SLEEP }),
    refusal(400, 'name in URL "new.service" differs from unit name in request body "other.service"'),
  ],
  [
    'another content type',
    'PUT',
    `${UNITS}/new.service`,
    { body: 'x', headers: { 'content-type': 'text/plain' } },
    refusal(415, 'only acceptable Content-Type is application/json'),
  ],
  [
    'a body that is not JSON',
    'PUT',
    `${UNITS}/new.service`,
    { body: '{bad', headers: JSON_TYPE },
    refusal(400, expect.stringMatching(/^unable to decode body: /)),
  ],
  [
    'a template that is to be launched',
    'PUT',
    `${UNITS}/t@.service`,
    body({ options: SLEEP, desiredState: 'launched' }),
    refusal(400, 'cannot activate template "t@.service"'),
  ],
  ['a unit that is not there', 'DELETE', `${UNITS}/new.service`, {}, refusal(404, 'unit does not exist')],
  [
    'a state that is not there',
    'GET',
    '/fleet/v1/state/new.service',
    {},
    refusal(404, 'unit does not exist'),
  ],
  ['another method', 'POST', UNITS, {}, refusal(405, 'only GET supported against this resource')],
  [
    'another method of a unit',
    'POST',
    `${UNITS}/a.service`,
    {},
    refusal(405, 'only GET, PUT and DELETE supported against this resource'),
  ],
  ['another resource', 'GET', '/fleet/v1/nothing', {}, refusal(404, '')],
  [
    'metadata without a value',
    'PATCH',
    '/fleet/v1/machines',
    body([{ op: 'add', path: `/${idOf('m1')}/metadata/rack` }]),
    refusal(400, 'invalid value: add and replace require a value'),
  ],
  // fleet answered with 500 and no message.
  [
    'a state that is none',
    'PUT',
    `${UNITS}/new.service`,
    body({ desiredState: 'flying', options: SLEEP }),
    refusal(400, 'invalid desiredState "flying": inactive, loaded, launched'),
  ],
  // fleet took all of these.
  [
    'an option that hides another',
    'PUT',
    `${UNITS}/new.service`,
    body({ options: [{ name: 'ExecStart', section: 'Service', value: '/bin/true\nUser=root' }] }),
    refusal(400, expect.stringMatching(/^invalid options/)),
  ],
  [
    'an option of X-Fleet that is none',
    'PUT',
    `${UNITS}/new.service`,
    body({ options: [...SLEEP, { name: 'Globl', section: 'X-Fleet', value: 'true' }] }),
    refusal(400, expect.stringMatching(/Globl/)),
  ],
  [
    'a name without a suffix',
    'PUT',
    `${UNITS}/new`,
    body({ options: SLEEP }),
    refusal(400, 'invalid unit name "new": it has no known suffix'),
  ],
  [
    'a page of the web',
    'GET',
    UNITS,
    { headers: { origin: 'http://evil.example' } },
    refusal(403, 'requests from web pages are refused'),
  ],
  ['a path that cannot be decoded', 'GET', `${UNITS}/%ff`, {}, refusal(400, 'cannot decode "%ff"')],
  [
    'a body that is too long',
    'PUT',
    `${UNITS}/new.service`,
    { body: ' '.repeat(1024 * 1024 + 1), headers: JSON_TYPE },
    refusal(413, 'a request has at most 1048576 bytes'),
  ],
];

describe('fleet v1', () => {
  it.each(REFUSED)('refuses %s', async (_, method, path, asking, error) => {
    expect((await api.ask(method, path, asking)).body).toEqual(error);
    expect((await api.get(UNITS)).body).toEqual({});
    expect(api.bugs).toEqual([]);
  });

  it('stores nothing in a registry from before a unit was destroyed, and says the same each time', async () => {
    const late = new House(['m1']);
    late.fakes.of('m1').removed.set('b.service', 1_000);
    const its = await Api.of(late);
    await late.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(late.runs('a.service')).toEqual(['m1']), soon);
    const refused = refusal(503, expect.stringMatching(/^The registry is older .* seen revision 1000$/));
    await vi.waitFor(async () => {
      expect((await its.put(`${UNITS}/b.service`, { options: SLEEP })).body).toEqual(refused);
    }, soon);
    for (const [method, asking] of [
      ['PUT', body({ desiredState: 'inactive' })],
      ['DELETE', {}],
    ] as const) {
      const answers = [1, 2].map(() => its.ask(method, `${UNITS}/a.service`, asking));
      for (const answer of await Promise.all(answers)) expect(answer.body).toEqual(refused);
    }
    const { units } = await late.registry.load();
    expect([...units.values()].map(({ name, target }) => [name, target])).toEqual([
      ['a.service', 'launched'],
    ]);
  });

  it('launches a unit, tells of it, and forgets it when it is deleted', async () => {
    const unit = `${UNITS}/new.service`;
    const created = await api.put(unit, { desiredState: 'launched', options: SLEEP });
    expect(created).toEqual({ status: 201, body: '' });
    await vi.waitFor(
      async () =>
        expect((await api.get(unit)).body).toEqual({
          currentState: 'launched',
          desiredState: 'launched',
          machineID: idOf('m1'),
          name: 'new.service',
          options: SLEEP,
        }),
      soon,
    );
    const state = {
      hash: '2d432f4a06608c1a8b2848b66c836793a1d48ce6',
      machineID: idOf('m1'),
      name: 'new.service',
      systemdActiveState: 'active',
      systemdLoadState: 'loaded',
      systemdSubState: 'running',
    };
    expect((await api.get('/fleet/v1/state?unitName=new.service')).body).toEqual({ states: [state] });
    expect((await api.get('/fleet/v1/state?unitName=other.service')).body).toEqual({});
    expect((await api.get(`/fleet/v1/state?machineID=${idOf('m2')}`)).body).toEqual({});
    expect((await api.get('/fleet/v1/state/new.service')).body).toEqual(state);

    expect(await api.ask('DELETE', unit)).toEqual({ status: 204, body: '' });
    expect((await api.ask('DELETE', unit)).status).toBe(404);
    await vi.waitFor(() => expect(house.runs('new.service')).toEqual([]), soon);
    await vi.waitFor(() => expect(house.fakes.of('m1').units.has('new.service')).toBe(false), soon);
    await vi.waitFor(async () => expect((await api.get('/fleet/v1/state')).body).toEqual({}), soon);
  });

  it('keeps comments of a unit whose options a client sends again', async () => {
    await house.want('inactive', '', 'a.service');
    const before = (await house.registry.load()).units.get('a.service');
    const { body: told } = await api.get(`${UNITS}/a.service`);
    const { options } = told as { options: object[] };
    expect(await api.put(`${UNITS}/a.service`, { options, desiredState: 'loaded' })).toEqual({
      status: 204,
      body: '',
    });
    const after = (await house.registry.load()).units.get('a.service');
    expect([after?.text, after?.target]).toEqual([before?.text, 'loaded']);
    expect((await api.put(`${UNITS}/a.service`, { options })).body).toEqual(
      refusal(409, 'must provide DesiredState to update existing unit'),
    );
  });

  it('moves what a new unit replaces', async () => {
    await house.want('launched', '', 'old.service');
    await vi.waitFor(() => expect(house.runs('old.service')).toEqual(['m1']), soon);
    const options = [...SLEEP, { section: 'X-Fleet', name: 'Replaces', value: 'old.service' }];
    await api.put(`${UNITS}/new.service`, { desiredState: 'launched', options });
    await vi.waitFor(() => expect(house.runs('new.service')).toEqual(['m1']), soon);
    await vi.waitFor(() => expect(house.runs('old.service')).toEqual(['m2']), soon);
  });

  it('gives a page of 100 and the token of the next one', async () => {
    await house.want('inactive', '', ...Array.from({ length: 150 }, (_, n) => `p@${100 + n}.service`));
    const first = (await api.get(UNITS)).body as { units: { name: string }[]; nextPageToken: string };
    expect([first.units.length, first.nextPageToken]).toEqual([100, 'ZAACAA==']);
    const second = (await api.get(`${UNITS}?nextPageToken=ZAACAA==`)).body as typeof first;
    expect([second.units.length, second.nextPageToken]).toEqual([50, undefined]);
    const names = [...first.units, ...second.units].map(({ name }) => name);
    expect(new Set(names).size).toBe(150);
    expect((await api.get(`${UNITS}?nextPageToken=ZAAJAA==`)).body).toEqual({});
    expect((await api.get(`${UNITS}?nextPageToken=AAAAAA==`)).status).toBe(400);
  });

  it('stores metadata in the registry, unless that is empty', async () => {
    const patch = (...operations: object[]) => api.ask('PATCH', '/fleet/v1/machines', body(operations));
    const path = `/${idOf('m1')}/metadata/name`;
    expect((await api.ask('PATCH', '/fleet/v1/machines', { body: '[]' })).status).toBe(204);
    expect((await patch({ op: 'add', path, value: 'r7' })).status).toBe(409);
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const rack = `/${idOf('m1')}/metadata/rack`;
    const changed = await patch({ op: 'replace', path, value: 'r7' }, { op: 'add', path: rack, value: '1' });
    expect(changed.status).toBe(204);
    const first = async (): Promise<unknown> =>
      ((await api.get('/fleet/v1/machines')).body as { machines: readonly unknown[] }).machines[0];
    await vi.waitFor(async () => {
      expect(await first()).toMatchObject({ id: idOf('m1'), metadata: { name: 'r7', rack: '1' } });
    }, soon);
    expect((await patch({ op: 'remove', path: rack }, { op: 'remove', path })).status).toBe(204);
    await vi.waitFor(async () => expect(await first()).not.toHaveProperty('metadata'), soon);
    expect((await patch({ op: 'add', path, value: 'a,b' })).status).toBe(400);
    expect((await patch({ op: 'add', path: `/${idOf('m9')}/metadata/a`, value: 'b' })).status).toBe(404);
    expect((await patch({ op: 'bogus', path, value: 'b' })).body).toEqual(
      refusal(400, 'invalid op: expect add, remove, or replace'),
    );
    expect((await patch({ op: 'add', path: '/x', value: 'b' })).body).toEqual(
      refusal(400, 'invalid path: expect /{machineID}/metadata/{key}'),
    );
  });

  it('leaves out machines that do not answer, and says of their units that they are unreachable', async () => {
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    house.fakes.disconnect('m1');
    await vi.waitFor(async () => {
      const { body: told } = await api.get('/fleet/v1/machines');
      expect(told).toEqual({
        machines: [{ id: idOf('m2'), metadata: { name: 'm2' }, primaryIP: 'm2.example' }],
      });
    }, soon);
    const { body: told } = await api.get('/fleet/v1/state/a.service');
    expect(told).toMatchObject({ systemdActiveState: 'unknown', systemdSubState: 'unreachable' });
    const { body: unit } = await api.get(`${UNITS}/a.service`);
    expect(unit).toMatchObject({ desiredState: 'launched', machineID: idOf('m1') });
    expect(unit).not.toHaveProperty('currentState');
  });

  it('answers 503 while the registry is away', async () => {
    house.registryError = AWAY;
    expect((await api.get(UNITS)).body).toEqual(refusal(503, AWAY.message));
    expect((await api.put(`${UNITS}/a.service`, { desiredState: 'launched' })).status).toBe(503);
  });

  it('describes itself', async () => {
    const { body: told } = await api.get('/fleet/v1/discovery');
    expect(told).toMatchObject({ discoveryVersion: 'v1', basePath: '/fleet/v1/' });
    const { schemas } = told as { schemas: { Unit: { properties: object } } };
    expect(Object.keys(schemas.Unit.properties).toSorted(compareText)).toEqual([
      'currentState',
      'desiredState',
      'machineID',
      'name',
      'options',
    ]);
  });
});

function body(value: object): Asking {
  return { body: JSON.stringify(value), headers: JSON_TYPE };
}

function refusal(code: number, message: unknown): object {
  return { error: { code, message } };
}
