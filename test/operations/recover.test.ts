import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { recoverStatus } from '../../src/cli/exit-status.ts';
import { MAX_LEAD } from '../../src/cluster/snapshot.ts';
import { toDo } from '../../src/controller/to-do.ts';
import { drain } from '../../src/operations/drain.ts';
import { leaveMachine } from '../../src/operations/machine-membership.ts';
import { observeCluster } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { type RecoverRequest, recover } from '../../src/operations/recover.ts';
import { destroy, start } from '../../src/operations/set-target-state.ts';
import { submit } from '../../src/operations/submit.ts';
import { cat } from '../../src/operations/unit-texts.ts';
import { recoverReport } from '../../src/output/registry.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { desiredUnit, idOf, recordOf, systemdState } from '../support/builders.ts';
import type { FakeUnit } from '../support/fake-machines.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

/** a is launched on m1, b loaded on m2, everywhere a global unit; a template and a unit are nowhere. */
async function populated(): Promise<Scene> {
  const scene = await makeScene();
  await scene.write('a.service', `# kept to the byte\n${SLEEP}\n\n`);
  await scene.write('b.service', SLEEP);
  await scene.write('everywhere.service', GLOBAL);
  await scene.write('web@.service', SLEEP);
  await scene.submit(['web@.service']);
  await scene.start('a', 'everywhere');
  await scene.load('b');
  return scene;
}

/** The same machines, and a registry that knows nothing. */
function lost(scene: Scene, store: Store = createMemoryStore()): Scene {
  const registry = createRegistry(store, { clock: scene.ports.clock, author: 'me@here' });
  const ports = { ...scene.ports, registry };
  return { ...scene, ports };
}

async function fileStore(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-recover-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return openFileStore(join(folder, 'registry'));
}

const NOTHING: RecoverRequest = { accept: [], reject: [], trust: [] };
const EVERYTHING: RecoverRequest = { ...NOTHING, accept: ['*'] };

async function recovered(scene: Scene, request = EVERYTHING): Promise<readonly string[]> {
  const result = await recover(scene.ports, request);
  const { out, err } = recoverReport(result, false);
  const lines = [...out, ...err].filter(
    (line) => !line.startsWith('hint: Templates') && !(request === EVERYTHING && line.startsWith('  text ')),
  );
  const plain = lines.map((line) =>
    line.replace(/[0-9a-f]{8}\.\.\./, '').replace(/cluster [0-9a-f-]{36}/, 'cluster'),
  );
  return [...plain, `status ${recoverStatus(result)}`];
}

const ALL = [
  'Recovered unit a.service: launched on /10.0.0.1',
  'Recovered unit b.service: loaded on /10.0.0.2',
  'Recovered unit everywhere.service: launched on 3 machines',
  'Recovered cluster',
];

function unitOn(scene: Scene, machine: string, name: string): FakeUnit {
  const unit = scene.machines.of(machine).units.get(name);
  if (unit === undefined) throw new Error(`${name} is not on ${machine}`);
  return unit;
}

describe('recover', () => {
  it('finds what was on machines: texts to the byte, target states, places, the id of the cluster', async () => {
    const before = await populated();
    const scene = lost(before);
    expect(await recovered(scene)).toEqual([...ALL, 'status 0']);
    const [old, now] = await Promise.all([before.ports.registry.load(), scene.ports.registry.load()]);
    expect(now.clusterId).toBe(old.clusterId);
    for (const name of ['a.service', 'b.service', 'everywhere.service']) {
      const { token: _before, ...wanted } = old.units.get(name) ?? desiredUnit('no');
      const { token: _now, ...found } = now.units.get(name) ?? desiredUnit('no');
      expect(found).toEqual(wanted);
    }
    expect(now.units.size).toBe(3);
  });

  it('gives tokens above all that machines have seen, of removed units too', async () => {
    const before = await populated();
    await before.write('gone.service', SLEEP);
    for (let turn = 0; turn < 20; turn++) {
      await before.start('gone');
      await destroy(before.ports, ['gone']);
    }
    const request = { names: [], digests: false, backup: true };
    const seen = ['m1', 'm2', 'm3'].map(
      (name) => before.machines.of(name).observe(request).backup?.token ?? 0,
    );
    expect(Math.max(...seen)).toBeGreaterThan(40);
    const scene = lost(before);
    await recover(scene.ports, EVERYTHING);
    const view = await scene.ports.registry.load();
    expect(view.revision).toBe(1);
    for (const { token } of view.units.values()) expect(token).toBeGreaterThan(Math.max(...seen));
    const { results } = await reconcileEverything(scene.ports);
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
    await scene.write('gone.service', SLEEP);
    const again = await start(scene.ports, { units: ['gone'], cwd: scene.cwd, replace: false });
    expect(again.results.map(({ failures }) => failures)).toEqual([[]]);
  });

  it('leaves a cluster where nothing moves and nothing is restarted', async () => {
    const scene = lost(await populated());
    await recover(scene.ports, EVERYTHING);
    const { plans } = await reconcileEverything(scene.ports);
    const kinds = plans.flatMap(({ changes }) =>
      changes.flatMap(({ steps }) => steps.map(({ kind }) => kind)),
    );
    expect(new Set(kinds)).toEqual(new Set(['record']));
    expect((await reconcileEverything(scene.ports)).plans).toEqual([]);
  });

  it('assigns no machine to a template, which is where its sockets are', async () => {
    const before = await makeScene();
    await before.write('echo@.service', SLEEP);
    await before.write('echo.socket', '[Socket]\nListenStream=/run/echo\nAccept=yes\n');
    await before.start('echo.socket');
    const scene = lost(before);
    const result = await recover(scene.ports, EVERYTHING);
    const stored = result.kind === 'recovered' ? result.units.map((unit) => unit.stored) : [];
    expect(stored.map(({ name, machine }) => [name, machine !== undefined])).toEqual([
      ['echo.socket', true],
      ['echo@.service', false],
    ]);
    expect((await drain(scene.ports, { machine: 'm1', maxParallel: 1, globals: false })).left).toEqual([]);
    expect(leaveMachine(await scene.ports.registry.load(), 'm1')).toEqual([]);
    expect(Object.values(scene.there()).flat()).toEqual(
      expect.arrayContaining([expect.stringMatching(/^echo@/)]),
    );
  });

  it('takes the later decision where a unit is on two machines, and tells of the other', async () => {
    const before = await populated();
    const copy = desiredUnit('a.service', '', { text: SLEEP, token: 1 });
    const state = systemdState('running');
    before.machines.of('m3').units.set('a.service', { text: SLEEP, record: recordOf(copy), state });
    const scene = lost(before);
    expect(await recovered(scene)).toEqual([
      ...ALL,
      'Warning: unit "a.service" is also on machine "m3" (10.0.0.3), by an older decision',
      'status 0',
    ]);
    expect((await scene.ports.registry.load()).units.get('a.service')?.text).toContain('kept to the byte');
  });

  it('takes the later text of a global unit, and an unedited copy of it', async () => {
    const before = await populated();
    const older = desiredUnit('everywhere.service', '', { text: `${GLOBAL}# old\n`, token: 1 });
    Object.assign(unitOn(before, 'm2', 'everywhere.service'), { text: older.text, record: recordOf(older) });
    unitOn(before, 'm1', 'everywhere.service').text = '[Service]\nExecStart=/bin/edited\n';
    const scene = lost(before);
    expect(await recovered(scene)).toEqual([
      ...ALL,
      'Warning: the file of unit "everywhere.service" was edited or removed on machine "m1" (10.0.0.1)',
      'Warning: unit "everywhere.service" has another text on machine "m2" (10.0.0.2), by an older decision',
      'status 0',
    ]);
    expect((await scene.ports.registry.load()).units.get('everywhere.service')?.text).toBe(GLOBAL);
  });

  it('takes an edited file when there is no other', async () => {
    const before = await populated();
    unitOn(before, 'm1', 'a.service').text = `${SLEEP}# edited\n`;
    expect(await recovered(lost(before))).toEqual([
      ...ALL,
      'Warning: the file of unit "a.service" was edited or removed on machine "m1" (10.0.0.1)',
      'status 0',
    ]);
  });

  it('stores nothing while a machine is silent: its units would count as unwanted', async () => {
    const scene = lost(await populated());
    scene.machines.disconnect('m2');
    expect(await recovered(scene)).toEqual([
      'Warning: Cannot reach machine "m2"; the state of its units is unknown',
      'Error: Cannot recover the registry: all machines have to answer, because the registry would lack the units of the others',
      'hint: Try again when they answer; if a machine is permanently gone, remove it from fleet.conf first',
      'status 5',
    ]);
    expect((await scene.ports.registry.load()).revision).toBe(0);
  });
});

describe('recover is refused', () => {
  it.each<[string, RegExp, (scene: Scene) => Scene | Promise<Scene>]>([
    ['into a registry that is there', /it exists and is not empty/, (scene) => scene],
    [
      'when machines belong to different clusters',
      /machine "m1" belongs to cluster \S+, machine "m2" to other/,
      (scene) => {
        scene.machines.of('m2').cluster = 'other';
        return lost(scene);
      },
    ],
    ['when no machine belongs to one', /no machine of fleet.conf belongs to a cluster/, () => makeScene()],
  ])('%s', async (_title, message, prepare) => {
    const scene = await prepare(await populated());
    const { revision } = await scene.ports.registry.load();
    await expect(recover(scene.ports, NOTHING)).rejects.toMatchObject({
      code: 'not-recoverable',
      message: expect.stringMatching(message),
    });
    expect((await scene.ports.registry.load()).revision).toBe(revision);
  });
});

describe('a unit whose text no machine has', () => {
  /** After a recovery; the files of the units are missing. */
  async function withoutFiles(store?: Store, request = EVERYTHING): Promise<Scene> {
    const before = await populated();
    await before.start('a');
    unitOn(before, 'm1', 'a.service').text = undefined;
    for (const machine of ['m1', 'm2', 'm3']) unitOn(before, machine, 'everywhere.service').text = undefined;
    const scene = lost(before, store);
    await recover(scene.ports, request);
    return scene;
  }
  const steps = async (scene: Scene): Promise<readonly string[]> => {
    const { plans } = await reconcileEverything(scene.ports);
    return plans.flatMap(({ changes }) =>
      changes.flatMap(({ unit, steps: taken }) => taken.map(({ kind }) => `${kind} ${unit}`)),
    );
  };
  const WITHOUT = 'recovered only from machine "m1", without its text, because no machine had it';

  it('is stored without it, and reported as an error', async () => {
    const before = await populated();
    unitOn(before, 'm2', 'b.service').text = undefined;
    expect(await recovered(lost(before))).toEqual([
      ...ALL.map((line) =>
        line.includes('b.service') ? `${line}, unconfirmed: its text cannot be read ("m2")` : line,
      ),
      'Error: Cannot recover the text of unit "b.service": it has no readable file on machine "m2" (10.0.0.2)',
      expect.stringMatching(
        /^hint: Units without a text are left unchanged.*fleetctl submit UNIT;.*--reject UNIT/,
      ),
      'status 1',
    ]);
  });

  it.each(['memory', 'a folder'])(
    'is left unchanged by every pass and command (store in %s)',
    async (kind) => {
      const store = kind === 'memory' ? createMemoryStore() : await fileStore();
      const scene = await withoutFiles(store);
      const runs = scene.there();
      expect(runs.m1).toEqual(['a.service running', 'everywhere.service running']);
      for (let turn = 0; turn < 3; turn++)
        expect(await steps(scene)).toEqual(turn === 0 ? ['record b.service'] : []);
      const { unreadable } = await reconcileEverything(scene.ports);
      expect(unreadable.map(({ unit, message }) => [unit, message.includes(WITHOUT)])).toEqual([
        ['a.service', true],
        ['everywhere.service', true],
      ]);
      const { problems } = await destroy(scene.ports, ['a']);
      expect(problems.map(({ error }) => error.message)).toEqual([expect.stringContaining(WITHOUT)]);
      await expect(cat(scene.ports.registry, 'a')).rejects.toThrow(WITHOUT);
      const busy = toDo(await observeCluster(scene.ports)).groups.flatMap(({ units }) => [...units]);
      expect(busy).not.toContain('a.service');
      expect(busy).not.toContain('everywhere.service');
      expect(scene.there()).toEqual(runs);
      expect((await scene.ports.registry.load()).history('a.service')).toEqual([]);
    },
  );

  it('is left unchanged if other machines have an older text, or the record is damaged', async () => {
    const before = await populated();
    const older = desiredUnit('everywhere.service', '', { text: `${GLOBAL}# old\n`, token: 1 });
    for (const machine of ['m2', 'm3'])
      Object.assign(unitOn(before, machine, 'everywhere.service'), {
        text: older.text,
        record: recordOf(older),
      });
    unitOn(before, 'm1', 'everywhere.service').text = undefined;
    const b = unitOn(before, 'm2', 'b.service');
    Object.assign(b, { text: undefined, record: { ...b.record, digest: '', hash: '' } });
    const scene = lost(before);
    const runs = scene.there();
    await recover(scene.ports, EVERYTHING);
    expect(await steps(scene)).toEqual(['record a.service']);
    expect(scene.there()).toEqual(runs);
    expect([...(await scene.ports.registry.load()).unconfirmed.keys()]).toEqual([
      'b.service',
      'everywhere.service',
    ]);
  });

  it('is recovered as usual if another unit has the same text, like an instance of its template', async () => {
    const before = await populated();
    await before.start('web@1', 'web@2');
    for (const machine of ['m1', 'm2', 'm3'])
      for (const [name, unit] of before.machines.of(machine).units)
        if (name === 'web@1.service') unit.text = undefined;
    const scene = lost(before);
    expect(await recovered(scene)).toContainEqual(
      expect.stringMatching(/^Warning: the file of unit "web@1.service" was edited or removed/),
    );
    const { units } = await scene.ports.registry.load();
    expect(units.get('web@1.service')?.text).toBe(SLEEP);
  });

  it('keeps its place and target state when its text is submitted', async () => {
    const scene = await withoutFiles();
    const runs = scene.there();
    const units = ['a', 'everywhere'];
    const { problems } = await submit(scene.ports.registry, { units, cwd: scene.cwd, replace: false });
    expect(problems).toEqual([]);
    const view = await scene.ports.registry.load();
    expect(view.allUnits.map(({ name, target, machine }) => [name, target, machine])).toEqual([
      ['a.service', 'launched', idOf('m1')],
      ['b.service', 'loaded', idOf('m2')],
      ['everywhere.service', 'launched', undefined],
    ]);
    expect(view.history('a.service')).toHaveLength(1);
    expect(await steps(scene)).not.toContain('remove a.service');
    expect(scene.there()).toEqual(runs);
    expect(unitOn(scene, 'm1', 'a.service').text).toContain('kept to the byte');
  });

  it('cannot be accepted, blocks no other unit, and is removed if it is rejected', async () => {
    const scene = await withoutFiles(undefined, NOTHING);
    const all = await recover(scene.ports, { ...NOTHING, trust: ['m1', 'm2'] });
    expect(all).toEqual({
      kind: 'decided',
      accepted: ['b.service'],
      rejected: [],
      open: ['a.service', 'everywhere.service'],
    });
    await expect(recover(scene.ports, { ...NOTHING, accept: ['a'] })).rejects.toThrow(WITHOUT);
    await recover(scene.ports, { ...NOTHING, reject: ['a'] });
    expect(await steps(scene)).toContain('remove a.service');
    expect(scene.there().m1).toEqual(['everywhere.service running']);
  });
});

describe('what no second machine confirms', () => {
  /** As an intruder on m1 writes it: another unit there, with a record that claims `token`. */
  function forge(scene: Scene, name: string, text: string, token: number, machine = 'm1'): void {
    const record = recordOf(desiredUnit('any.service'), { unit: name, token, digest: sha256(text) });
    scene.machines.of(machine).units.set(name, { text, record, state: systemdState('running') });
  }
  const EVIL = `${GLOBAL}# evil\n`;
  const kindsIn = async ({ ports }: Scene): Promise<readonly string[]> => {
    const { plans } = await reconcileEverything(ports);
    return plans.flatMap(({ machine, changes }) =>
      changes.flatMap(({ unit, steps }) => steps.map(({ kind }) => `${machine} ${kind} ${unit}`)),
    );
  };

  it('is stored, left as it is, and told with every text and the machines that have it', async () => {
    const before = await populated();
    forge(before, 'evil.service', EVIL, 40);
    forge(before, 'everywhere.service', EVIL, 41);
    forge(before, 'b.service', `${SLEEP}# evil\n`, 42);
    const scene = lost(before);
    const runs = scene.there();
    const lines = await recovered(scene, NOTHING);
    expect(lines.map((line) => line.replace(/ text [0-9a-f]{7},/, ' text'))).toEqual([
      'Recovered unit a.service: launched on /10.0.0.1, unconfirmed: one machine has it ("m1")',
      'Recovered unit b.service: launched on /10.0.0.1, unconfirmed: one machine has the latest decision ("m1")',
      '  text launched: "m1" (10.0.0.1)',
      '  text loaded: "m2" (10.0.0.2)',
      'Recovered unit everywhere.service: launched on 3 machines, unconfirmed: one machine has the latest decision ("m1")',
      '  text launched: "m1" (10.0.0.1)',
      '  text launched: "m2" (10.0.0.2), "m3" (10.0.0.3)',
      'Recovered unit evil.service: launched on 1 machine, unconfirmed: one machine has it ("m1")',
      'Recovered cluster',
      expect.stringMatching(/^Warning: unit "b.service" is also on machine "m2"/),
      expect.stringMatching(/^Warning: unit "everywhere.service" has another text on machine "m2"/),
      expect.stringMatching(/^Warning: unit "everywhere.service" has another text on machine "m3"/),
      expect.stringMatching(/left unchanged: 4 from "m1"$/),
      expect.stringMatching(
        /^hint: To see one: fleetctl cat UNIT; to accept it: fleetctl recover --accept UNIT/,
      ),
      'status 0',
    ]);
    expect(await kindsIn(scene)).toEqual([]);
    const { problems } = await start(scene.ports, { units: ['a', 'evil'], cwd: scene.cwd, replace: true });
    expect(problems.map(({ unit, error }) => [unit, error.code])).toEqual([
      ['a.service', 'not-recoverable'],
      ['evil.service', 'not-recoverable'],
    ]);
    expect(scene.there()).toEqual(runs);
    const [text] = await cat(scene.ports.registry, 'evil');
    expect(text?.text).toBe(EVIL);
    const { units } = await scene.ports.registry.load();
    expect(units.size).toBe(0);
  });

  it('is accepted by unit or by machine, then or later, and given up', async () => {
    const before = await populated();
    forge(before, 'evil.service', EVIL, 40);
    const scene = lost(before);
    await recover(scene.ports, { ...NOTHING, trust: ['m2'] });
    const wanted = async () => [...(await scene.ports.registry.load()).units.keys()];
    expect(await wanted()).toEqual(['b.service', 'everywhere.service']);
    await expect(recover(scene.ports, { ...NOTHING, accept: ['b'] })).rejects.toMatchObject({
      code: 'unit-not-found',
    });
    await expect(recover(scene.ports, { ...NOTHING, trust: ['m9'] })).rejects.toMatchObject({
      code: 'machine-not-found',
    });
    expect(await recover(scene.ports, { ...NOTHING, accept: ['a'] })).toEqual({
      kind: 'decided',
      accepted: ['a.service'],
      rejected: [],
      open: ['evil.service'],
    });
    expect(await wanted()).toContain('a.service');
    expect(scene.there().m1).toContain('evil.service running');
    await recover(scene.ports, { ...NOTHING, reject: ['evil'] });
    expect(await kindsIn(scene)).toEqual(expect.arrayContaining(['m1 remove evil.service']));
    expect(scene.there()).toMatchObject({ m1: ['a.service running', 'everywhere.service running'] });
  });

  it.each([
    ['global and not everywhere', GLOBAL, ['m1', 'm2'], 'it is global, and not on every machine'],
    ['standard and on two machines', SLEEP, ['m1', 'm2'], 'one machine has the latest decision'],
    ['no unit file', `${SLEEP}[X-Fleet]\nGlobal=maybe\n`, ['m1'], 'its text cannot be read'],
  ])('is a unit that is %s', async (_title, text, machines, why) => {
    const before = await populated();
    for (const machine of machines) forge(before, 'evil.service', text, 40, machine);
    const lines = await recovered(lost(before), NOTHING);
    expect(lines).toContainEqual(expect.stringContaining(`unit evil.service: launched on`));
    expect(lines.find((line) => line.includes('evil.service'))).toContain(`unconfirmed: ${why} ("m1")`);
  });

  it('a unit without a text that makes sense is never accepted', async () => {
    const before = await populated();
    forge(before, 'evil.service', `${SLEEP}[X-Fleet]\nGlobal=maybe\n`, 40);
    const scene = lost(before);
    await recover(scene.ports, EVERYTHING);
    await expect(recover(scene.ports, EVERYTHING)).rejects.toMatchObject({ code: 'placement' });
    expect((await scene.ports.registry.load()).units.has('evil.service')).toBe(false);
  });

  it.each([
    ['token', 'evil.service', 1e23, /has a record with token 1e\+23/],
    ['lead', 'evil.service', 2 ** 50, /far beyond all other machines/],
    ['name', '../../etc/x.service', 40, /has a record with unit "..\/..\/etc\/x.service"/],
    ['reserved name', 'fleet-lease.service', 40, /has a record with unit "fleet-lease.service"/],
  ])(
    'a machine with an impossible %s is reported, and nothing is stored',
    async (_title, name, token, why) => {
      const before = await populated();
      forge(before, name, SLEEP, token);
      const scene = lost(before);
      const lines = await recovered(scene);
      expect([lines[0], lines.at(-1)]).toEqual([expect.stringMatching(why), 'status 5']);
      expect((await scene.ports.registry.load()).revision).toBe(0);
    },
  );

  it('leaves room for tokens, however high a machine claims to have seen', async () => {
    const before = await populated();
    forge(before, 'evil.service', SLEEP, MAX_LEAD);
    const scene = lost(before);
    await recover(scene.ports, NOTHING);
    expect((await scene.ports.registry.load()).token).toBe(MAX_LEAD + 1);
  });
});
