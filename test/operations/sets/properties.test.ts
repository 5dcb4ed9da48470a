import { describe, expect, it } from 'vitest';
import { isFleetError } from '../../../src/base/errors.ts';
import { compareText } from '../../../src/base/text.ts';
import { setCordon } from '../../../src/operations/drain.ts';
import { destroy, stop, unload } from '../../../src/operations/set-target-state.ts';
import { applySet } from '../../../src/operations/sets/apply.ts';
import type { SetOptions } from '../../../src/operations/sets/edits.ts';
import { type ExportedFile, exportedFiles } from '../../../src/operations/sets/export.ts';
import type { FolderFile, UnitFolder } from '../../../src/operations/sets/folder.ts';
import { isSamePlan, planSet, type SetPlan } from '../../../src/operations/sets/plan.ts';
import { type WantedSet, wantedSet } from '../../../src/operations/sets/wanted.ts';
import { reconcile } from '../../../src/reconcile/reconcile.ts';
import type { RegistryView } from '../../../src/registry/view.ts';
import { parseUnitName } from '../../../src/unit/unit-name.ts';
import { systemdState } from '../../support/builders.ts';
import { pick, seeded, seeds } from '../../support/random.ts';
import { makeScene, type Scene } from '../scene.ts';

const SEEDS = seeds(12);

/** The names of two folders; each belongs to one of them. */
const POOLS = {
  one: ['a.service', 'b.service', 'c.timer', 'c.service', 'g.service', 'web@.service', 'web@1.service'],
  two: ['x.service', 'y.service', 'app@.service'],
};

type Random = () => number;

function randomText(random: Random, name: string, program = '/bin/sleep infinity'): string {
  const { type, instance } = parseUnitName(name);
  const lines = [
    ...(random() < 0.3 ? [`MachineMetadata=role=${pick(random, ['web', 'db', 'none'])}`] : []),
    ...(random() < 0.2 ? [`Conflicts=${pick(random, ['web@*.service', 'x.service'])}`] : []),
    ...(name === 'g.service' ? ['Global=true'] : []),
    ...(random() < 0.3 ? [`Target=${pick(random, ['loaded', 'inactive', 'launched'])}`] : []),
    ...(instance === '' && random() < 0.8 ? [`Instances=${pick(random, ['2', '3', 'blue green'])}`] : []),
  ];
  const body =
    type === 'timer'
      ? '[Timer]\nOnActiveSec=1h\n'
      : `[Service]\nExecStart=${program}\nEnvironment=A=${pick(random, ['1', '2'])}\n`;
  const install = random() < 0.2 ? '\n[Install]\nWantedBy=multi-user.target\n' : '';
  return `${body}${install}${lines.length === 0 ? '' : `\n[X-Fleet]\n${lines.join('\n')}\n`}`;
}

function randomFolder(random: Random, pool: readonly string[]): UnitFolder {
  // A timer without its unit is another matter.
  const names = pool.filter((name) => name.startsWith('c.') || random() < 0.7);
  return folderOf(names.map((name) => [name, randomText(random, name)]));
}

function folderOf(files: readonly (readonly [string, string])[]): UnitFolder {
  const entries = files.map(([name, content]): FolderFile => {
    return { name: parseUnitName(name), file: { path: `units/${name}`, content }, real: name, isLink: false };
  });
  return { paths: ['units'], name: 'units', files: entries, skipped: [], problems: [] };
}

const KEEP: SetOptions = { adopt: false, prune: false, pruneLimit: undefined };
const PRUNE: SetOptions = { adopt: false, prune: true, pruneLimit: 100 };

function apply(scene: Scene, wanted: WantedSet, options: SetOptions = KEEP, id?: string) {
  const approve = async (): Promise<boolean> => true;
  return applySet(scene.ports, wanted, { ...options, id, asks: false, leaseWaitMs: 0, approve });
}

/** A cluster with two sets and a unit of no set, where some units have failed. */
async function randomScene(random: Random): Promise<Scene> {
  const scene = await makeScene({ m1: { role: 'web' }, m2: { role: 'db' }, m3: { role: 'web' } });
  await apply(scene, wantedSet(randomFolder(random, POOLS.one), 'one'));
  await apply(scene, wantedSet(randomFolder(random, POOLS.two), 'two'));
  await scene.write('own.service', randomText(random, 'own.service'));
  await scene.start('own.service');
  for (const machine of ['m1', 'm2', 'm3'])
    for (const unit of scene.machines.of(machine).units.values())
      if (random() < 0.1) unit.state = systemdState('failed');
  return scene;
}

/** The commands of operators after the folders were applied, and the pass that ends all differences. */
async function operate(random: Random, scene: Scene): Promise<void> {
  const { ports } = scene;
  await setCordon(ports, [pick(random, ['m1', 'm2', 'm3'])], 'standard');
  for (const name of ['sent.service', 'sent@.service']) await scene.write(name, randomText(random, name));
  await scene.submit(['sent.service', 'sent@.service']);
  // The text of a running unit is held.
  for (const name of ['a.service', 'web@.service']) {
    await scene.write(name, randomText(random, name, '/bin/false'));
    if (random() < 0.5) await scene.submit([name], true);
  }
  await reconcile(ports, 'everything');
  const verbs = [
    (name: string) => stop(ports, [name]),
    (name: string) => unload(ports, [name]),
    (name: string) => destroy(ports, [name]),
    (name: string) => scene.load(name),
    (name: string) => scene.start(name),
  ];
  const known = Object.keys(await scene.wanted());
  const more = known.filter((name) => name.includes('@.')).map((name) => name.replace('@.', '@more.'));
  for (const name of [...known, ...more]) {
    if (random() < 0.4) continue;
    // Some commands are refused, such as the start of a template.
    await pick(
      random,
      verbs,
    )(name).catch((error: unknown) => {
      if (!isFleetError(error)) throw error;
    });
  }
  // A launched unit stays launched although a unit that triggers it follows.
  await scene.write('late.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  await scene.start('late.service');
  await scene.write('late.timer', '[Timer]\nOnActiveSec=1h\n');
  await scene.start('late.timer');
  for (let count = 0; count < 3; count++) await reconcile(ports, 'everything');
}

/** The folder that has these files. */
function readBack(files: readonly ExportedFile[]): UnitFolder {
  const texts = new Map(files.flatMap((file) => (file.kind === 'text' ? [[file.name, file.text]] : [])));
  return {
    paths: ['x'],
    name: 'x',
    files: files.map(
      (file): FolderFile => ({
        name: parseUnitName(file.name),
        file: { path: file.name, content: texts.get(file.kind === 'text' ? file.name : file.to) ?? '' },
        real: file.kind === 'link' ? file.to : file.name,
        isLink: file.kind === 'link',
      }),
    ),
    skipped: [],
    problems: [],
  };
}

/** The steps of a plan on each machine: `m1 start a.service`, sorted. */
function stepsOf({ changes }: SetPlan): readonly string[] {
  return changes
    .flatMap(({ unit, steps }) =>
      steps.flatMap(({ machine, steps: kinds }) => kinds.map((kind) => `${machine} ${kind} ${unit}`)),
    )
    .toSorted(compareText);
}

/** The planned starts of texts on machines where they have failed. An older text would be written first. */
function failedStarts({ changes }: SetPlan, view: RegistryView): readonly string[] {
  return changes.flatMap(({ unit, steps }) => {
    const failed = view.verdicts(unit)[view.units.get(unit)?.digest ?? '']?.held?.machines ?? [];
    return steps
      .filter(({ machine }) => failed.some(({ name }) => name === machine))
      .filter(({ steps: kinds }) => kinds.includes('start') && !kinds.includes('write'))
      .map(({ machine }) => `${machine} ${unit}`);
  });
}

/** The executed steps. A check, which precedes a move, is none. */
function logOf({ machines }: Scene, from: ReadonlyMap<string, number>): readonly string[] {
  return machines.machines
    .flatMap(({ name }) =>
      machines
        .of(name)
        .log.slice(from.get(name) ?? 0)
        .map((line) => `${name} ${line}`),
    )
    .filter((line) => !line.includes(' check '))
    .toSorted(compareText);
}

describe.each(SEEDS)('with seed %d', (seed) => {
  it('a plan has exactly the steps of its pass, and is empty after it', async () => {
    const random = seeded(seed);
    const scene = await randomScene(random);
    const wanted = wantedSet(randomFolder(random, POOLS.one), 'one');
    const options = random() < 0.5 ? KEEP : PRUNE;
    const plan = await planSet(scene.ports, wanted, options);
    const before = new Map(['m1', 'm2', 'm3'].map((name) => [name, scene.machines.of(name).log.length]));
    const applied = await apply(scene, wanted, options, plan.id);
    const { kind } = applied;
    if (plan.problems.length > 0) {
      expect([kind, logOf(scene, before)]).toEqual(['refused', []]);
      return;
    }
    expect(kind).not.toBe('stale');
    expect(logOf(scene, before)).toEqual(stepsOf(plan));
    const after = await planSet(scene.ports, wanted, options);
    // A rollout waits for a copy that is down, which the pass may have removed.
    const gated =
      applied.kind !== 'applied'
        ? []
        : applied.result.results.filter(({ failures }) =>
            failures.some(({ failure }) => failure.code === 'gated'),
          );
    const waiting = new Set(gated.map(({ unit }) => unit));
    const left = after.changes.filter(({ unit }) => !waiting.has(unit));
    expect([left, after.edits.units]).toEqual([[], []]);
  });

  it('a plan has the same id for the same folder in any order, and another one if its basis differs', async () => {
    const random = seeded(seed);
    const scene = await randomScene(random);
    const folder = randomFolder(random, POOLS.one);
    const plan = await planSet(scene.ports, wantedSet(folder, 'one'), PRUNE);
    const turned = { ...folder, files: folder.files.toReversed() };
    expect((await planSet(scene.ports, wantedSet(turned, 'one'), PRUNE)).id).toBe(plan.id);
    if (plan.problems.length > 0 || plan.changes.length === 0) return;
    // A unit that the plan does not touch.
    await scene.write('other.service', '[Service]\nExecStart=/bin/true\n');
    await scene.submit(['other.service']);
    expect(isSamePlan(plan.id, await planSet(scene.ports, wantedSet(folder, 'one'), PRUNE))).toBe(true);
    const { unit } = pick(random, plan.changes);
    const view = await scene.ports.registry.load();
    const known = view.units.get(unit);
    if (known === undefined) return;
    await scene.ports.registry.update(() => [
      { kind: 'put-unit', unit: { ...known, set: 'one', machine: undefined } },
    ]);
    expect(isSamePlan(plan.id, await planSet(scene.ports, wantedSet(folder, 'one'), PRUNE))).toBe(false);
  });

  it('pruning ends only units of the set', async () => {
    const random = seeded(seed);
    const scene = await randomScene(random);
    const view = await scene.ports.registry.load();
    const sets = new Map([...view.units.values()].map(({ name, set }) => [name, set]));
    const wanted = wantedSet(randomFolder(random, POOLS.one), 'one');
    const plan = await planSet(scene.ports, wanted, PRUNE);
    for (const name of plan.edits.pruned) expect(sets.get(name)).toBe('one');
    await apply(scene, wanted, PRUNE);
    const left = new Set((await scene.ports.registry.load()).units.keys());
    const gone = [...sets.keys()].filter((name) => !left.has(name));
    expect(gone).toEqual(plan.problems.length > 0 ? [] : plan.edits.pruned);
  });

  it('an exported cluster is a folder without changes', async () => {
    const random = seeded(seed);
    const scene = await randomScene(random);
    await operate(random, scene);
    const registry = await scene.ports.registry.load();
    const { units } = registry;
    for (const set of ['one', 'two', undefined]) {
      const those = [...units.values()].filter((unit) => set === undefined || unit.set === set);
      const { files, problems } = exportedFiles(those);
      expect(problems).toEqual([]);
      const wanted = wantedSet(readBack(files), set ?? 'all');
      expect(new Set(wanted.units.keys())).toEqual(new Set(those.map(({ name }) => name)));
      const plan = await planSet(scene.ports, wanted, { ...PRUNE, adopt: true });
      // Passes that start failed units again, and move units, are another matter.
      const changes = plan.changes.filter(({ kind }) => ['new', 'changed', 'removed'].includes(kind));
      expect([plan.problems, changes, plan.edits.pruned]).toEqual([[], [], []]);
      expect(failedStarts(plan, registry)).toEqual([]);
      const joining = those.filter((unit) => unit.set !== (set ?? 'all'));
      expect(plan.edits.units.toSorted((a, b) => compareText(a.name, b.name))).toEqual(
        joining.map((unit) => ({ ...unit, set: set ?? 'all' })),
      );
    }
  });
});
