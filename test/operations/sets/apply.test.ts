import fs, { rm, symlink } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { reconcileEverything } from '../../../src/operations/reconcile-everything.ts';
import { restart } from '../../../src/operations/restart.ts';
import { stop } from '../../../src/operations/set-target-state.ts';
import { type Applied, type ApplyRequest, applySet } from '../../../src/operations/sets/apply.ts';
import type { SetOptions } from '../../../src/operations/sets/edits.ts';
import { readUnitFolder } from '../../../src/operations/sets/folder.ts';
import { planSet, type SetPlan } from '../../../src/operations/sets/plan.ts';
import { type WantedSet, wantedSet } from '../../../src/operations/sets/wanted.ts';
import { changeText } from '../../../src/output/sets/change.ts';
import type { Ports } from '../../../src/reconcile/ports.ts';
import { reconcile } from '../../../src/reconcile/reconcile.ts';
import { systemdState } from '../../support/builders.ts';
import { FALSE, makeScene, type Scene, SLEEP } from '../scene.ts';

const OPTIONS: SetOptions = { adopt: false, prune: false, pruneLimit: undefined };

async function read(scene: Scene, set?: string): Promise<WantedSet> {
  return wantedSet(await readUnitFolder(['units'], scene.cwd), set);
}

async function plan(scene: Scene, options: Partial<SetOptions> = {}, set?: string): Promise<SetPlan> {
  return planSet(scene.ports, await read(scene, set), { ...OPTIONS, ...options });
}

async function apply(scene: Scene, request: Partial<ApplyRequest> = {}, set?: string): Promise<Applied> {
  const approve = async (): Promise<boolean> => true;
  const all = { ...OPTIONS, id: undefined, asks: false, leaseWaitMs: 0, approve, ...request };
  return applySet(scene.ports, await read(scene, set), all);
}

/** `new a.service`, for every change. */
function kinds({ changes }: SetPlan): readonly string[] {
  return changes.map(({ kind, unit }) => `${kind} ${unit}`);
}

const text = (word: string, fleet = ''): string =>
  `${SLEEP}Environment=A=${word}\n${fleet === '' ? '' : `[X-Fleet]\n${fleet}\n`}`;

it('asks each machine once for a plan, before the edits are made', async () => {
  const scene = await makeScene();
  for (const name of ['a.service', 'b.service', 'web@.service'])
    await scene.write(`units/${name}`, text('1', name === 'web@.service' ? 'Instances=2' : ''));
  await apply(scene);
  await rm(join(scene.cwd, 'units/b.service'));
  await scene.write('units/a.service', text('2'));
  const order: string[] = [];
  const ports: Ports = {
    ...scene.ports,
    emit: ({ kind }) => order.push(kind),
    driver: {
      ...scene.ports.driver,
      connect(machine) {
        order.push('connect');
        return scene.ports.driver.connect(machine);
      },
    },
  };
  const before = scene.machines.of('m1').looks;
  const options = { ...OPTIONS, prune: true };
  const planned = await planSet(ports, await read(scene), options);
  expect(kinds(planned)).toEqual(['changed a.service', 'removed b.service']);
  expect(scene.machines.of('m1').looks).toBe(before + 1);
  expect(order.lastIndexOf('connect')).toBeLessThan(order.indexOf('machine-asked'));
});

describe('apply', () => {
  it('brings a folder to the machines, and then has nothing to do', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await scene.write('units/sub/b.service', text('1', 'Target=loaded'));
    await scene.write('units/c.service', text('1', 'Target=inactive'));
    await scene.write('units/web@.service', text('1', 'Instances=2'));
    await scene.write('units/d.service', text('1'));
    await scene.write('units/d.timer', '[Timer]\nOnActiveSec=1h\n');
    await scene.write('units/README.md', 'hello');
    await scene.write('units/notes.txt', 'hello');
    const first = await plan(scene);
    expect(kinds(first)).toEqual(
      [
        'a.service',
        'b.service',
        'c.service',
        'd.service',
        'd.timer',
        'web@.service',
        'web@1.service',
        'web@2.service',
      ].map((name) => `new ${name}`),
    );
    expect(first.skipped).toEqual(['units/notes.txt']);
    const before = scene.machines.of('m1').looks;
    const { kind } = await apply(scene, { id: first.id });
    expect(kind).toBe('applied');
    // The pass uses the observation of the plan.
    expect(scene.machines.of('m1').looks).toBe(before + 1);
    expect(await scene.wanted()).toMatchObject({
      'a.service': expect.stringMatching(/^launched m/),
      'b.service': expect.stringMatching(/^loaded m/),
      'c.service': 'inactive',
      'd.service': expect.stringMatching(/^loaded m/),
      'd.timer': expect.stringMatching(/^launched m/),
      'web@.service': 'inactive',
      'web@1.service': expect.stringMatching(/^launched m/),
      'web@2.service': expect.stringMatching(/^launched m/),
    });
    const again = await plan(scene);
    expect([kinds(again), again.edits.units, again.unchanged]).toEqual([[], [], 8]);
    const looks = scene.machines.of('m1').looks;
    const { revision } = await scene.ports.registry.load();
    expect((await apply(scene)).kind).toBe('unchanged');
    expect(scene.machines.of('m1').looks).toBe(looks + 1);
    expect((await scene.ports.registry.load()).revision).toBe(revision);
  });

  it('restarts a unit with a new text, and adds one', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await apply(scene);
    await scene.write('units/a.service', text('2'));
    await scene.write('units/b.service', text('1'));
    const next = await plan(scene);
    expect(kinds(next)).toEqual(['changed a.service', 'new b.service']);
    expect(next.changes[0]?.text).toEqual({ before: text('1'), after: text('2') });
    expect(next.changes[0]?.steps).toEqual([
      { machine: 'm1', steps: ['stop', 'write', 'record', 'start'], obstacle: undefined },
    ]);
  });

  it('starts a unit that an operator has stopped, and one that has failed', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await scene.write('units/b.service', text('1'));
    await apply(scene);
    await stop(scene.ports, ['a.service']);
    const unit = scene.machines.of('m2').units.get('b.service');
    if (unit !== undefined) unit.state = systemdState('failed');
    expect(kinds(await plan(scene))).toEqual(['changed a.service', 'started b.service']);
  });

  it('adds an instance without a restart of the others', async () => {
    const scene = await makeScene();
    await scene.write('units/web@.service', text('1', 'Instances=2'));
    await apply(scene);
    await scene.write('units/web@.service', text('1', 'Instances=3'));
    const next = await plan(scene);
    expect(kinds(next)).toEqual(['changed web@.service', 'new web@3.service']);
    await apply(scene);
    expect(kinds(await plan(scene))).toEqual([]);
    const { units } = await scene.ports.registry.load();
    expect(units.get('web@.service')?.text).toBe(text('1', 'Instances=3'));
    await scene.write('units/web@.service', text('2', 'Instances=3'));
    expect(kinds(await plan(scene))).toEqual(
      ['web@.service', 'web@1.service', 'web@2.service', 'web@3.service'].map((name) => `changed ${name}`),
    );
  });

  it('starts no further instances with a held text that differs only in Instances=', async () => {
    const scene = await makeScene();
    const failing = (count: number): string => `${FALSE}[X-Fleet]\nInstances=${count}\n`;
    await scene.write('units/web@.service', text('1', 'Instances=2'));
    await apply(scene);
    for (const count of [2, 4]) {
      await scene.write('units/web@.service', failing(count));
      await apply(scene);
    }
    await reconcileEverything(scene.ports);
    const log = scene.ports.machines.flatMap(({ name }) => scene.machines.of(name).log);
    expect(log.filter((line) => /^start web@[34]/.test(line))).toEqual([]);
    const { units } = await scene.ports.registry.load();
    expect([units.size, units.get('web@4.service')?.text]).toEqual([5, failing(4)]);
  });

  it('names the file of the template for an instance that the folder does not name', async () => {
    const scene = await makeScene();
    await scene.write('units/web@.service', text('1', 'Instances=1'));
    await apply(scene);
    await scene.start('web@2.service');
    await scene.write('units/web@.service', text('2', 'Instances=1'));
    expect((await plan(scene)).changes.map(({ unit, path }) => [unit, path])).toEqual(
      ['web@.service', 'web@1.service', 'web@2.service'].map((name) => [name, 'units/web@.service']),
    );
  });

  it('takes a link to a template as an instance that follows it, and another file as a separate text', async () => {
    const scene = await makeScene();
    await scene.write('units/web@.service', text('1'));
    await symlink('web@.service', join(scene.cwd, 'units/web@blue.service'));
    await scene.write('units/web@own.service', text('own'));
    await apply(scene);
    const { units } = await scene.ports.registry.load();
    expect(units.get('web@blue.service')).toMatchObject({ fromTemplate: true, text: text('1') });
    expect(units.get('web@own.service')).toMatchObject({ fromTemplate: false, text: text('own') });
    await scene.write('units/web@.service', text('2'));
    expect(kinds(await plan(scene))).toEqual(['changed web@.service', 'changed web@blue.service']);
  });

  it('lets an instance with its own file keep the text that it had of its template', async () => {
    const scene = await makeScene();
    await scene.write('units/web@.service', text('1', 'Instances=1'));
    await apply(scene);
    await scene.write('units/web@1.service', text('1', 'Instances=1'));
    await scene.write('units/web@.service', text('2', 'Instances=1'));
    expect(kinds(await plan(scene))).toEqual(['changed web@.service']);
  });

  it('lists what the folder lacks, and ends it with --prune', async () => {
    const scene = await makeScene();
    for (const name of ['a', 'b', 'c']) await scene.write(`units/${name}.service`, text(name));
    await apply(scene);
    await scene.write('own.service', text('own'));
    await scene.start('own.service');
    await rm(join(scene.cwd, 'units/b.service'));
    const listed = await plan(scene);
    expect([kinds(listed), listed.edits.left]).toEqual([[], ['b.service']]);
    expect(kinds(await plan(scene, { prune: true }))).toEqual(['removed b.service']);
    await apply(scene, { prune: true });
    expect(Object.keys(await scene.wanted())).toEqual(['a.service', 'c.service', 'own.service']);
    expect(Object.values(scene.there()).flat()).not.toContain('b.service running');
  });

  it('ends no more than half of a set, and nothing for an empty folder, without a limit', async () => {
    const scene = await makeScene();
    for (const name of ['a', 'b', 'c']) await scene.write(`units/${name}.service`, text(name));
    await apply(scene);
    for (const name of ['a', 'b']) await rm(join(scene.cwd, `units/${name}.service`));
    const { problems } = await plan(scene, { prune: true });
    expect(problems.map(({ error }) => error.message)).toEqual([
      'Cannot end 2 of 3 units of set "units": the limit is 1',
    ]);
    expect((await apply(scene, { prune: true })).kind).toBe('refused');
    expect(kinds(await plan(scene, { prune: true, pruneLimit: 2 }))).toHaveLength(2);
    await rm(join(scene.cwd, 'units/c.service'));
    expect((await plan(scene, { prune: true })).problems).toHaveLength(1);
    await apply(scene, { prune: true, pruneLimit: 3 });
    expect(await scene.wanted()).toEqual({});
  });

  it('refuses a unit of another set, and takes it over with --adopt', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await apply(scene);
    const { problems } = await plan(scene, {}, 'other');
    expect(problems.map(({ error }) => error.message)).toEqual([
      'Cannot apply unit "a.service": it belongs to set "units"',
    ]);
    const adopted = await plan(scene, { adopt: true }, 'other');
    expect([kinds(adopted), adopted.edits.joined]).toEqual([[], ['a.service']]);
    await apply(scene, { adopt: true }, 'other');
    expect((await scene.ports.registry.load()).units.get('a.service')?.set).toBe('other');
    expect((await plan(scene)).problems).toHaveLength(1);
  });

  it('refuses to end a unit that a launched one needs', async () => {
    const scene = await makeScene({ m1: {} });
    for (const name of ['a', 'b', 'c', 'd']) await scene.write(`units/${name}.service`, text(name));
    await scene.write('units/d.service', `[Unit]\nRequires=a.service\n${text('d')}`);
    await apply(scene);
    await rm(join(scene.cwd, 'units/a.service'));
    expect((await plan(scene, { prune: true })).problems.map(({ error }) => error.code)).toEqual([
      'contradiction',
    ]);
  });

  it('reports two files for one unit with both paths, an invalid file, and one that cannot be read', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await scene.write('units/x/a.service', text('1'));
    await scene.write('units/bad.service', 'nonsense');
    await scene.write('units/my unit.service', text('1'));
    await symlink('missing', join(scene.cwd, 'units/gone.service'));
    const { problems } = await plan(scene);
    expect(problems.map(({ error }) => error.message)).toEqual([
      'Cannot use file "units/my unit.service": it must not contain " "',
      'Two files for unit "a.service": "units/a.service" and "units/x/a.service"',
      'Cannot read unit file "units/bad.service", line 1: this is before the first section',
      'Cannot read unit file "units/gone.service": it is a link to a missing file',
    ]);
    expect((await apply(scene)).kind).toBe('refused');
    expect(await scene.wanted()).toEqual({});
  });

  it('does not take a unit whose file cannot be used for a removed one', async () => {
    const scene = await makeScene();
    for (const name of ['a.service', 'web@.service'])
      await scene.write(`units/${name}`, text('1', name === 'a.service' ? '' : 'Instances=2'));
    await apply(scene);
    for (const name of ['a.service', 'web@.service']) await scene.write(`units/${name}`, 'nonsense');
    for (const prune of [false, true]) {
      const { edits, problems } = await plan(scene, { prune });
      expect([edits.left, edits.pruned, problems.map(({ unit }) => unit)]).toEqual([
        [],
        [],
        ['a.service', 'web@.service'],
      ]);
    }
  });

  it('shows paths as they were given', async () => {
    const scene = await makeScene();
    await scene.write('units/latin.service', Buffer.from('[Service]\nExecStart=/bin/\xe9\n', 'latin1'));
    await scene.write('units/sub/b.service', text('1'));
    const found = await readUnitFolder([join(scene.cwd, 'units')], '/');
    expect(found.files.map(({ file }) => file.path)).toEqual(
      ['units/latin.service', 'units/sub/b.service'].map((path) => join(scene.cwd, path)),
    );
    const { files } = await readUnitFolder(['./units'], scene.cwd);
    expect(files.map(({ file: { path, content } }) => [path, content])).toEqual([
      [
        'units/latin.service',
        expect.objectContaining({
          message: 'Cannot read unit file "units/latin.service", line 2: it is not UTF-8 text',
          hint: 'Convert it, for example: iconv -f ISO-8859-1 -t UTF-8 FILE >NEW',
        }),
      ],
      ['units/sub/b.service', text('1')],
    ]);
    await expect(readUnitFolder(['nowhere'], scene.cwd)).rejects.toMatchObject({ code: 'usage' });
  });

  it('refuses a folder of which a part disappears during the scan', async () => {
    const scene = await makeScene();
    await scene.write('units/sub/b.service', text('1'));
    const { readdir } = fs;
    const spy = vi.spyOn(fs, 'readdir').mockImplementation(async (...words) => {
      const entries = await readdir(...words);
      await rm(join(scene.cwd, 'units/sub'), { recursive: true, force: true });
      return entries;
    });
    syncBuiltinESMExports();
    onTestFinished(() => {
      spy.mockRestore();
      syncBuiltinESMExports();
    });
    const { problems } = await plan(scene);
    expect(problems.map(({ error }) => error.message)).toEqual([
      'Cannot read folder "units/sub": no such file or directory',
    ]);
  });

  it('needs a name for the set of several paths', async () => {
    const folder = { paths: [], name: undefined, files: [], skipped: [], problems: [] };
    expect(() => wantedSet(folder, undefined)).toThrow('no common folder');
    expect(() => wantedSet(folder, 'a b')).toThrow('as the name of a set');
    expect(wantedSet(folder, 'a-b').name).toBe('a-b');
  });
});

it('runs its pass in a controller, and plans without it', async () => {
  const scene = await makeScene();
  await scene.write('units/a.service', text('1'));
  const asked: (readonly string[])[] = [];
  const ports: Ports = {
    ...scene.ports,
    async controller(units, options) {
      asked.push([...units]);
      return reconcile(scene.ports, units, options);
    },
  };
  const controlled = { ...scene, ports };
  await plan(controlled);
  expect(asked).toEqual([]);
  expect((await apply(controlled)).kind).toBe('applied');
  expect(asked).toEqual([['a.service']]);
});

describe('a text that has failed before', () => {
  const REVERT = '[X-Fleet]\nOnFailedUpdate=revert\n';

  it('is not stored again, so that the old text stays, until the file changes or --retry', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1', 'OnFailedUpdate=revert'));
    await scene.write('units/b.service', text('1'));
    await apply(scene);
    await scene.write('units/a.service', `${FALSE}${REVERT}`);
    const failed = await apply(scene);
    expect(failed.kind === 'applied' && failed.result.restored).toMatchObject([
      { unit: 'a.service', isBack: true },
    ]);
    const stored = async (): Promise<string | undefined> =>
      (await scene.ports.registry.load()).units.get('a.service')?.text;
    const old = await stored();
    expect(old).toContain('A=1');
    await scene.write('units/b.service', text('2'));
    const next = await plan(scene);
    expect([kinds(next), next.problems]).toEqual([['changed b.service'], []]);
    expect(next.expected.problems.map(({ error }) => error.message)).toEqual([
      expect.stringMatching(
        /^Cannot apply unit "a\.service": held: text [0-9a-f]{7} failed on m1; it keeps text [0-9a-f]{7}$/,
      ),
    ]);
    const applied = await apply(scene);
    expect(applied.kind === 'applied' && applied.result.problems).toHaveLength(1);
    expect(await stored()).toBe(old);
    expect((await apply(scene)).kind).toBe('unchanged');
    expect(kinds(await plan(scene, { retry: true }))).toEqual(['changed a.service']);
    await scene.write('units/a.service', text('3'));
    expect(kinds(await plan(scene))).toEqual(['changed a.service']);
  });

  it('is reported for each instance that would get it, also for a new one, with the folder in the hint', async () => {
    const scene = await makeScene();
    const fleet = (instances: string): string => `[X-Fleet]\nOnFailedUpdate=revert\nInstances=${instances}\n`;
    await scene.write('units/web@.service', `${SLEEP}${fleet('a b c')}`);
    await scene.write('units/web@c.service', `${SLEEP}[X-Fleet]\nTarget=loaded\n`);
    await apply(scene);
    await scene.write('units/web@.service', `${FALSE}${fleet('a b c')}`);
    await apply(scene);
    await rm(join(scene.cwd, 'units/web@c.service'));
    await scene.write('units/web@.service', `${FALSE}${fleet('a b c d')}`);
    const { expected } = await plan(scene, {}, 'units');
    const shown = expected.problems.map(({ unit, error }) => [
      unit,
      error.message.split('; ')[1],
      error.hint,
    ]);
    const hint = 'Correct its file; or try this text again: fleetctl apply --retry --set units units';
    const keeps = expect.stringMatching(/^it keeps text \w{7}$/);
    expect(shown).toEqual([
      ['web@a.service', keeps, hint],
      ['web@b.service', keeps, hint],
      ['web@c.service', keeps, hint],
      ['web@d.service', 'it is not stored', hint],
    ]);
  });

  it('is refused for a template and all instances', async () => {
    const scene = await makeScene();
    const fleet = '[X-Fleet]\nOnFailedUpdate=revert\nInstances=2\n';
    await scene.write('units/web@.service', `${SLEEP}${fleet}`);
    await apply(scene);
    await scene.write('units/web@.service', `${FALSE}${fleet}`);
    await apply(scene);
    const next = await plan(scene);
    expect([kinds(next), next.edits.units]).toEqual([[], []]);
    expect(next.expected.problems.length).toBeGreaterThan(0);
    expect((await scene.ports.registry.load()).units.get('web@.service')?.text).toContain(SLEEP);
  });
});

it('reports a text that fails and is held, without a change, and tries it again with --retry', async () => {
  const scene = await makeScene({ m1: {} });
  await scene.write('units/a.service', text('1'));
  await apply(scene);
  scene.clock.time += 120_000;
  await scene.write('units/a.service', FALSE);
  await apply(scene);
  const held = await plan(scene);
  expect([kinds(held), held.expected.results.map(({ failures }) => failures[0]?.failure.code)]).toEqual([
    [],
    ['held'],
  ]);
  expect(kinds(await plan(scene, { retry: true }))).toEqual(['started a.service']);
});

it('names the unit with which a running one stops, and by which it is started again', async () => {
  const scene = await makeScene({ m1: {} });
  await scene.write('units/db.service', text('1'));
  await scene.write('units/web.service', `[Unit]\nRequires=db.service\n${SLEEP}`);
  await scene.write('units/x.service', SLEEP);
  await apply(scene);
  await scene.write('units/db.service', text('2'));
  const down = scene.machines.of('m1').units.get('x.service');
  if (down !== undefined) down.state = systemdState('dead');
  const { changes } = await plan(scene);
  expect(changes.map((change) => `${change.unit} ${changeText(change)}`)).toEqual([
    'db.service new text, restarts on m1',
    'web.service starts on m1: it stops with db.service',
    'x.service starts on m1: it is not running',
  ]);
});

describe('a plan id', () => {
  it('is refused after a change of an affected unit, with the change and its author', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await scene.write('units/b.service', text('1'));
    await apply(scene);
    await scene.write('units/a.service', text('2'));
    const { id } = await plan(scene);
    await scene.write('other/a.service', text('other'));
    await scene.write('other/own.service', text('own'));
    await scene.start('other/own.service');
    expect((await plan(scene)).id.split('-')[0]).toBe(id.split('-')[0]);
    await scene.submit(['other/a.service'], true);
    const applied = await apply(scene, { id });
    expect(applied.kind).toBe('stale');
    expect('events' in applied && applied.events.map(({ event, by }) => [event.kind, by])).toEqual([
      ['text', 'me@here'],
    ]);
    const { units } = await scene.ports.registry.load();
    expect(units.get('a.service')?.text).toBe(text('other'));
  });

  it('is refused with the changes that may explain it, and no others', async () => {
    const scene = await makeScene();
    for (const name of ['a', 'b', 'c']) await scene.write(`units/${name}.service`, text('1'));
    await apply(scene);
    for (const name of ['a', 'b']) await scene.write(`units/${name}.service`, text('2'));
    const { id } = await plan(scene);
    // Another operator applies one of them, and restarts a unit that the plan does not touch.
    scene.clock.time += 1000;
    await scene.submit(['units/a.service'], true);
    await reconcileEverything(scene.ports);
    await restart(scene.ports, ['a', 'c'], 1);
    const applied = await apply(scene, { id });
    if (applied.kind !== 'stale') throw new Error(applied.kind);
    expect(applied.events.map(({ event }) => 'unit' in event && `${event.kind} ${event.unit}`)).toEqual([
      'text a.service',
    ]);
  });

  it('is refused after a restart on the machine, without such a change', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await apply(scene);
    await scene.write('units/a.service', text('2'));
    const { id } = await plan(scene);
    const unit = scene.machines.of('m1').units.get('a.service');
    if (unit !== undefined) unit.state = { ...unit.state, invocation: 'another' };
    expect(await apply(scene, { id })).toMatchObject({ kind: 'stale', events: [] });
  });
});

it('does not show records that are only older, as after a hold', async () => {
  const scene = await makeScene({ m1: {}, m2: {} });
  const global = (word: string): string => text(word, 'Global=true');
  await scene.write('units/a.service', global('1'));
  await apply(scene);
  const unit = scene.machines.of('m1').units.get('a.service');
  const record = unit?.record;
  if (unit === undefined || record === undefined) throw new Error('it is not there');
  unit.record = { ...record, token: record.token - 1 };
  expect(kinds(await plan(scene))).toEqual([]);
  unit.record = { ...record, target: 'loaded' };
  expect(kinds(await plan(scene))).toEqual(['repaired a.service']);
});

describe('an id of another plan', () => {
  it('is accepted when its plan has been executed, and refused for other files and options', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    const { id } = await plan(scene);
    await apply(scene, { id });
    expect(await apply(scene, { id })).toMatchObject({ kind: 'unchanged' });
    expect(await apply(scene, { id, prune: true })).toMatchObject({ kind: 'stale', hasWork: false });
    await stop(scene.ports, ['a.service']);
    expect(await apply(scene, { id })).toMatchObject({ kind: 'stale', isOtherRequest: false });
    await scene.write('units/a.service', text('2'));
    expect(await apply(scene, { id })).toMatchObject({ kind: 'stale', isOtherRequest: true });
  });

  it('covers the units that join the set', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await apply(scene);
    const { id } = await plan(scene);
    await scene.write('units/b.service', text('1'));
    await scene.start('units/b.service');
    const joining = await plan(scene);
    expect([joining.changes, joining.edits.joined]).toEqual([[], ['b.service']]);
    expect((await apply(scene, { id })).kind).toBe('stale');
  });
});

describe('approval', () => {
  it('changes nothing if it is declined', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    expect((await apply(scene, { asks: true, approve: async () => false })).kind).toBe('declined');
    expect(await scene.wanted()).toEqual({});
  });

  it('is asked again if the plan changes before the answer', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await scene.write('other/a.service', text('other'));
    const shown: (readonly string[])[] = [];
    const { kind } = await apply(scene, {
      asks: true,
      async approve(each) {
        shown.push(kinds(each));
        if (shown.length === 1) await scene.submit(['other/a.service']);
        return true;
      },
    });
    expect([kind, shown]).toEqual(['applied', [['new a.service'], ['changed a.service']]]);
  });

  it('is asked again if the registry changes before the edits are stored', async () => {
    const scene = await makeScene();
    await scene.write('units/a.service', text('1'));
    await scene.write('other/a.service', text('other'));
    const shown: (readonly string[])[] = [];
    const { kind } = await apply(scene, {
      async approve(each) {
        shown.push(kinds(each));
        if (shown.length === 1) await scene.submit(['other/a.service']);
        return true;
      },
    });
    expect([kind, shown]).toEqual(['applied', [['new a.service'], ['changed a.service']]]);
  });
});

it('start of a template with Instances= starts its instances', async () => {
  const scene = await makeScene();
  await scene.write('units/web@.service', text('1', 'Instances=blue green'));
  await scene.start('units/web@.service');
  expect(Object.keys(await scene.wanted())).toEqual(['web@blue.service', 'web@green.service']);
  await scene.write('app@.service', text('1'));
  await expect(scene.start('app@.service')).rejects.toThrow('Cannot start template');
});
