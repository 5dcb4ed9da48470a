import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import { setCordon } from '../../src/operations/drain.ts';
import { listEvents } from '../../src/operations/list-events.ts';
import { listMachines } from '../../src/operations/list-machines.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { destroy, stop } from '../../src/operations/set-target-state.ts';
import { cat, history } from '../../src/operations/unit-texts.ts';
import { eventJson, eventLine } from '../../src/output/events.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { previewRegistry } from '../../src/registry/registry.ts';
import type { RegistryView } from '../../src/registry/view.ts';
import { openEtcdStore } from '../../src/store/etcd/store.ts';
import { openFileStore } from '../../src/store/file.ts';
import { encodeSnapshot } from '../../src/store/snapshot-file.ts';
import type { Store, StoreRecord } from '../../src/store/store.ts';
import { previewDriver } from '../../src/systemd/driver.ts';
import { unitNameProblem } from '../../src/unit/unit-name.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from '../operations/scene.ts';
import { HAS_ETCD, TestEtcd } from '../support/etcd.ts';
import { pick, runs, seeded } from '../support/random.ts';

const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  1.5,
  1e308,
  1e300,
  2 ** 53,
  2 ** 53 - 1,
  -0,
  '',
  'x',
  '../../etc/passwd',
  '\u0000\u001b[2J\n\u202e',
  'é'.repeat(300),
  '0'.repeat(64),
  [],
  {},
  { toString: 1, valueOf: 1 },
  { __proto__: null, code: 'x' },
  [[null]],
];
const NAMES = [
  '',
  '.',
  '../x.service',
  'a',
  'a.service/b',
  'é.service',
  `${'a'.repeat(300)}.service`,
  '__proto__',
  'x.scope',
];
const KINDS = ['units/', 'contents/', 'history/', 'machines/', 'events/'];
/** Error codes for a damaged registry; the others are errors of the caller. */
const CODES = ['registry-corrupt', 'registry-newer', 'unit-not-found', 'machine-not-found'];

type Random = () => number;

/** A registry with every kind of document, in which machines run what it wants. */
async function busyScene(store: Store): Promise<Scene> {
  const scene = await makeScene(undefined, store);
  for (const name of ['a.service', 'b.service', 'c.service', 'w@.service']) await scene.write(name, SLEEP);
  await scene.write('g.service', GLOBAL);
  await scene.start('a.service', 'b.service', 'c.service', 'g.service', 'w@1.service');
  await scene.write('b.service', `${SLEEP}# another\n`);
  await scene.submit(['b.service'], true);
  await setCordon(scene.ports, ['m3'], 'standard');
  await destroy(scene.ports, ['c.service']);
  return scene;
}

describe.each([
  ['a folder', runs(100), openFolder],
  ...(HAS_ETCD ? ([['etcd', runs(40), openEtcd]] as const) : []),
] as const)('a registry in %s in which anything may stand', (_, rounds, open) => {
  it('is read, or refused with the key of what is wrong', async () => {
    const store = await open();
    const scene = await busyScene(store);
    const before = scene.there();
    const { records } = await store.list('');
    const random = seeded(20_261_129);
    let refusals = 0;
    for (let round = 0; round < rounds; round++) {
      const changed = mutate(random, pick(random, records));
      await put(store, changed);
      const where = { round, changed };
      refusals += await useAll(scene, where);
      expect({ where, there: scene.there() }).toEqual({ where, there: before });
      await restore(store, records, changed);
    }
    expect(refusals).toBeGreaterThan(rounds / 10);
    expect(await useAll(scene, 'restored')).toBe(0);
  });
});

describe('a revision', () => {
  it('that has no next one is refused when it is written', async () => {
    const folder = await temporaryFolder();
    const record = { key: 'turn', value: '{"version":1}', revision: 1 };
    const bytes = encodeSnapshot({ revision: 2 ** 52 - 1, records: [record] });
    await writeFile(join(folder, 'records'), bytes);
    const store = openFileStore(folder);
    onTestFinished(() => store.close());
    expect((await store.list('')).revision).toBe(2 ** 52 - 1);
    await expect(put(store, { key: 'turn', value: '{}' })).rejects.toMatchObject({
      code: 'registry-corrupt',
    });
    expect(await readFile(join(folder, 'records'))).toEqual(bytes);
  });

  it.each([0, -1, 1.5, 2 ** 52, 2 ** 53 - 1, 1e300])('of %d is none', async (revision) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'records'), encodeSnapshot({ revision, records: [] }));
    const store = openFileStore(folder);
    onTestFinished(() => store.close());
    await expect(store.list('')).rejects.toMatchObject({ code: 'registry-corrupt' });
  });
});

describe.runIf(HAS_ETCD)('the keys of a registry in etcd', () => {
  it('are read as they were written, or refused', async () => {
    const etcd = await TestEtcd.start();
    const options = etcd.options();
    const store = openEtcdStore(options);
    onTestFinished(async () => {
      await store.close();
      await etcd.end();
    });
    await put(store, { key: 'turn', value: '{"version":1}' });
    const whole = await store.list('');
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const keys = ['revision', 'records/turn'].map((key) => base64(`${options.prefix}/${key}`));
    const random = seeded(7);
    for (let round = 0; round < runs(50); round++) {
      const key = pick(random, keys);
      const { kvs } = (await etcd.post('kv/range', { key })) as { kvs: { value: string }[] };
      const value = kvs[0]?.value ?? '';
      const text = Buffer.from(value, 'base64').toString();
      await etcd.post('kv/put', { key, value: base64(damage(random, text)) });
      const other = openEtcdStore(options);
      const read = await other.list('').catch((error: unknown) => error);
      await other.close();
      if (read instanceof Error) expect(read).toMatchObject({ code: expect.stringMatching(/^registry-/) });
      else expect(Object(read).revision).toBeLessThan(2 ** 52);
      await etcd.post('kv/put', { key, value });
    }
    expect(await store.list('')).toEqual(whole);
  });
});

/** Everything that reads a registry, and what decides by it; returns how much of that was refused. */
async function useAll(scene: Scene, where: unknown): Promise<number> {
  const { clock } = scene;
  const ports: Ports = {
    ...scene.ports,
    registry: previewRegistry(scene.ports.registry, { clock, author: 'me@here' }),
    driver: previewDriver(scene.ports.driver),
  };
  const { registry } = ports;
  const uses: readonly (() => Promise<unknown>)[] = [
    async () => checkView(await registry.load()),
    async () => JSON.stringify((await withMachineSnapshots(ports, listUnits)).rows),
    async () => JSON.stringify((await withMachineSnapshots(ports, listUnitFiles)).rows),
    async () => JSON.stringify((await withMachineSnapshots(ports, listMachines)).rows),
    async () =>
      (await listEvents(registry, { about: [], lines: undefined })).map((row) => [
        eventLine(row),
        JSON.stringify(eventJson(row)),
      ]),
    () => history(registry, 'b.service'),
    () => cat(registry, 'a.service'),
    () => reconcileEverything(ports),
    () => stop(ports, ['b.service']),
    () => destroy(ports, ['a.service']),
  ];
  let refusals = 0;
  for (const use of uses) {
    try {
      await use();
    } catch (error) {
      if (!(error instanceof FleetError) || !CODES.includes(error.code))
        throw new Error(`${use} with ${JSON.stringify(where)}`, { cause: error });
      refusals++;
    }
  }
  return refusals;
}

/** What a view gives away is what its documents may be. */
function checkView(view: RegistryView): void {
  expect(Number.isSafeInteger(view.token)).toBe(true);
  for (const { name, text, digest, token } of view.units.values()) {
    expect([name, unitNameProblem(name)]).toEqual([name, undefined]);
    expect([name, sha256(text), Number.isSafeInteger(token)]).toEqual([name, digest, true]);
  }
  for (const [name, error] of view.unreadable)
    expect([name, CODES]).toEqual([name, expect.arrayContaining([error.code])]);
  for (const name of view.unitNames) view.lost(name);
  for (const { at } of view.events) new Date(at).toISOString();
  for (const { silentSince = 0, backSince = 0 } of view.machines.values()) {
    for (const at of [silentSince, backSince]) new Date(at).toISOString();
  }
  for (const name of ['a.service', 'b.service', 'c.service']) {
    for (const { at } of view.history(name)) new Date(at).toISOString();
    view.verdicts(name);
    view.destroyed(name);
  }
}

type Changed = { readonly key: string; readonly value: string | undefined };

/** Another value in the place of a record, a record that is gone, or one that should not be there. */
function mutate(random: Random, { key, value }: StoreRecord): Changed {
  const choice = random();
  if (choice < 0.05) return { key, value: undefined };
  if (choice < 0.15) return { key: `${pick(random, KINDS)}${pick(random, NAMES)}`, value };
  if (choice < 0.3) {
    const at = Math.floor(random() * value.length);
    return {
      key,
      value: `${value.slice(0, at)}${String.fromCharCode(random() * 128)}${value.slice(at + 1)}`,
    };
  }
  const document: unknown = JSON.parse(value);
  const places = placesIn(document);
  const [parent, name] = pick(random, places);
  if (random() < 0.15) delete parent[name];
  else parent[name] = pick(random, VALUES);
  return { key, value: JSON.stringify(document) };
}

/** A head, or a record, of etcd in which something else stands. */
function damage(random: Random, text: string): string {
  if (!text.startsWith('{'))
    return text.replace(/^\d+/, () =>
      pick(random, ['', '0', '-1', '9'.repeat(30), '1 x 3', '1 a 99999999999']),
    );
  const head: unknown = JSON.parse(text);
  const [parent, name] = pick(random, placesIn(head));
  parent[name] = pick(random, VALUES);
  return JSON.stringify(head);
}

type Place = readonly [parent: Record<string, unknown>, name: string];

function placesIn(value: unknown): readonly Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const parent = value as Record<string, unknown>;
  return Object.keys(parent).flatMap((name): readonly Place[] => [[parent, name], ...placesIn(parent[name])]);
}

async function put(store: Store, { key, value }: Changed): Promise<void> {
  const ifRevision = (await store.get(key))?.revision ?? 0;
  const result = await store.commit([
    value === undefined ? { kind: 'delete', key, ifRevision } : { kind: 'put', key, value, ifRevision },
  ]);
  expect(result.kind).toBe('committed');
}

async function restore(store: Store, records: readonly StoreRecord[], { key }: Changed): Promise<void> {
  await put(store, { key, value: records.find((record) => record.key === key)?.value });
}

async function openFolder(): Promise<Store> {
  const store = openFileStore(await temporaryFolder());
  onTestFinished(() => store.close());
  return store;
}

async function openEtcd(): Promise<Store> {
  const etcd = await TestEtcd.start();
  const store = openEtcdStore(etcd.options());
  onTestFinished(async () => {
    await store.close();
    await etcd.end();
  });
  return store;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-registry-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
