import { describe, expect, it } from 'vitest';
import { formatMachineId } from '../src/machine/machine.ts';
import { doctor } from '../src/operations/doctor.ts';
import { explainUnit } from '../src/operations/explain.ts';
import { listEvents } from '../src/operations/list-events.ts';
import { listMachines } from '../src/operations/list-machines.ts';
import { listUnitFiles } from '../src/operations/list-unit-files.ts';
import { listUnits } from '../src/operations/list-units.ts';
import { applyMachines } from '../src/operations/machine-changes.ts';
import { withMachineSnapshots } from '../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../src/operations/reconcile-everything.ts';
import { recover } from '../src/operations/recover.ts';
import { restart } from '../src/operations/restart.ts';
import { rollback } from '../src/operations/rollback.ts';
import { start } from '../src/operations/set-target-state.ts';
import { readUnitFolder } from '../src/operations/sets/folder.ts';
import { planSet } from '../src/operations/sets/plan.ts';
import { wantedSet } from '../src/operations/sets/wanted.ts';
import { unitStatus } from '../src/operations/status.ts';
import { cat, history } from '../src/operations/unit-texts.ts';
import { verify } from '../src/operations/verify.ts';
import { doctorJson } from '../src/output/doctor.ts';
import { eventJson } from '../src/output/events.ts';
import { explanationJson } from '../src/output/explanation.ts';
import { listingJson } from '../src/output/field.ts';
import { appliedJson } from '../src/output/inventory.ts';
import { textsJson } from '../src/output/json.ts';
import { historyJson, MACHINES, UNIT_FILES, UNITS } from '../src/output/listings.ts';
import { passJson } from '../src/output/pass.ts';
import { recoverJson, registryJson } from '../src/output/registry.ts';
import { requestJson, restartJson, rollbackJson } from '../src/output/request-json.ts';
import { planJson } from '../src/output/sets/plan.ts';
import { statusJson } from '../src/output/status.ts';
import { verificationJson } from '../src/output/verification.ts';
import { createRegistry } from '../src/registry/registry.ts';
import { makeDesk } from './cli/desk.ts';
import { FALSE, GLOBAL, makeScene, type Scene, SLEEP } from './operations/scene.ts';
import { idOf, NOW, TTL_MS } from './support/builders.ts';
import { HEALTHY } from './support/fake-machines.ts';
import { topic, withExitStatuses } from './support/manual.ts';
import { createMemoryStore } from './support/memory-store.ts';

/** The JSON of commands, by the names after "```json" in the manual, for a cluster with all kinds of content. */
const ANSWERS: Readonly<Record<string, (scene: Scene) => Promise<object>>> = {
  'list-units': async ({ ports, machines }) => {
    machines.disconnect('m3');
    return listingJson(UNITS, await withMachineSnapshots(ports, listUnits));
  },
  'list-unit-files': async ({ ports }) =>
    listingJson(UNIT_FILES, await withMachineSnapshots(ports, listUnitFiles)),
  'list-machines': async ({ ports }) =>
    listingJson(MACHINES, await withMachineSnapshots(ports, listMachines)),
  status: async ({ ports }) =>
    statusJson(
      await unitStatus(ports, {
        verb: 'status',
        ...{ units: ['hello', 'everywhere'], machine: undefined, lines: undefined },
      }),
    ),
  history: async ({ ports }) => historyJson(await history(ports.registry, 'hello')),
  explain: async ({ ports, cwd }) => explanationJson(await explainUnit(ports, { unit: 'hello', cwd })),
  reconcile: async ({ ports, clock, start, machines }) => {
    await start('false');
    machines.disconnect('m1');
    await withMachineSnapshots(ports, listUnits);
    clock.time += 2 * TTL_MS;
    return passJson(await reconcileEverything(ports));
  },
  verify: async ({ ports, cwd }) =>
    verificationJson(
      await verify(ports, { units: ['hello', 'lost.timer'], cwd, replace: true, machine: undefined }),
    ),
  start: async ({ ports, cwd, write }) => {
    await write('hello.service', `# other\n${HELLO}`);
    await write('web.service', `${SLEEP}[Install]\nAlso=web.socket\n`);
    await write('app@.service', SLEEP);
    await start(ports, { units: ['app@1'], cwd, replace: false });
    await write('app@.service', `# other\n${SLEEP}`);
    const units = ['hello', 'new', 'db', 'false', 'web', 'gone', 'app@2'];
    return requestJson(await start(ports, { units, cwd, replace: false }), false);
  },
  plan: async ({ ports, cwd, write }) => {
    await write('units/hello.service', HELLO.replace('infinity', '1d'));
    await write('units/new.service', HELLO);
    await write('units/notes.txt', '');
    const wanted = wantedSet(await readUnitFolder(['units'], cwd), undefined);
    return planJson(await planSet(ports, wanted, { adopt: false, prune: false, pruneLimit: undefined }));
  },
  restart: async ({ ports, write, submit }) => {
    await write('hello.service', FALSE);
    await submit(['hello'], true);
    return specificKeys(restartJson(await restart(ports, ['hello', 'other'], 1), false));
  },
  'machines apply': async ({ ports }) => {
    const machines = ports.machines.map((machine) => ({ ...machine, metadata: { disk: 'ssd' } }));
    return appliedJson(await applyMachines({ ...ports, machines }, ['m1']));
  },
  registry: async () =>
    registryJson({
      ...{ place: 'machines', revision: 42 },
      voters: [{ machine: 'web-1', state: 'current', revision: 42 }],
    }),
  recover: async ({ ports, machines, clock }) => {
    const here = machines.of('m1').units.get('hello.service');
    if (here !== undefined) here.text = `${HELLO}# edited\n`;
    const registry = createRegistry(createMemoryStore(), { clock, author: 'me@desk' });
    return recoverJson(await recover({ ...ports, registry }, { accept: [], reject: [], trust: [] }), false);
  },
  doctor: async ({ ports, machines }) => {
    machines.of('m1').examination = { ...HEALTHY, clock: NOW / 1000 - 7200, machineId: idOf('m1') };
    const login = async () => ({ address: '10.0.0.1', credential: 'id' });
    const examiner = { ...ports, login, userOf: () => 'core' };
    return doctorJson(await doctor(examiner, [], async () => undefined));
  },
  cat: async ({ ports }) => textsJson(await cat(ports.registry, 'hello')),
  version: async () => JSON.parse((await (await makeDesk('')).run(['version', '-o', 'json'])).out),
};

/** The keys of `rollback -o json`, which the text of the manual has. */
async function rollbackKeys({ ports, write, submit }: Scene): Promise<readonly string[]> {
  await write('hello.service', `${SLEEP}Nice=1\n`);
  await submit(['hello'], true);
  const answer = rollbackJson(await rollback(ports, { unit: 'hello', to: undefined }), false);
  return Object.keys(specificKeys(answer));
}

const HELLO = `[Unit]\nDescription=Hello World\n\n${SLEEP}\n[X-Fleet]\nMachineMetadata=role=web\n`;

/** Units hello is on m1, other on m2, and everywhere on all machines. */
async function busy(): Promise<Scene> {
  const scene = await makeScene({ m1: { role: 'web' }, m2: {}, m3: { role: 'web' } });
  await scene.write('hello.service', HELLO);
  await scene.write('other.service', SLEEP);
  await scene.write('new.service', SLEEP);
  await scene.write('everywhere.service', GLOBAL);
  await scene.write('false.service', FALSE);
  await scene.write('db.service', `${SLEEP}[X-Fleet]\nMachineMetadata=role=db\n`);
  await scene.write('lost.timer', '[Timer]\nOnActiveSec=1h\n');
  await scene.start('hello', 'other', 'everywhere');
  return scene;
}

/** The keys of an answer without those that all commands for units share. */
function specificKeys(answer: object): object {
  const shared = new Set([
    'dryRun',
    'results',
    'changes',
    'created',
    'alone',
    'kept',
    'foreign',
    'differing',
    'templates',
    'restored',
    'problems',
    'unreachable',
  ]);
  return Object.fromEntries(Object.entries(answer).filter(([key]) => !shared.has(key)));
}

/** The paths of all keys: `units[].machine.id`. Metadata has arbitrary keys. */
function pathsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((each) => pathsOf(each, `${path}[]`)))];
  if (typeof value !== 'object' || value === null || path.endsWith('metadata')) return [];
  return Object.entries(value).flatMap(([key, held]) => [
    `${path}.${key}`,
    ...pathsOf(held, `${path}.${key}`),
  ]);
}

/** The answer with only those rows of each list that show its keys, the row with the most keys among them. */
function shortened(value: unknown): unknown {
  if (Array.isArray(value)) {
    const shown = new Set<string>();
    const rows = value.toSorted((a, b) => pathsOf(b).length - pathsOf(a).length || valuesIn(b) - valuesIn(a));
    const needed = rows.filter((row) => {
      const isNeeded = typeof row !== 'object' || pathsOf(row).some((path) => !shown.has(path));
      for (const path of pathsOf(row)) shown.add(path);
      return isNeeded;
    });
    return value.filter((row) => needed.includes(row)).map(shortened);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, shortened(held)]));
}

/** How many of its values are known. */
function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return value === null ? 0 : 1;
  return Object.values(value).reduce((sum: number, each) => sum + valuesIn(each), 0);
}

/** The longest line of an example, unless one value is longer. */
const WIDTH = 120;

/** JSON, with objects and lists on one line where they fit. */
function jsonText(value: unknown, indent = '', room = WIDTH): string {
  const line = JSON.stringify(value, undefined, 1)
    .replaceAll(/\n */g, ' ')
    .replaceAll(/\[ | \]/g, (text) => text.trim());
  if (typeof value !== 'object' || value === null || line.length + indent.length <= room) return line;
  const inner = `${indent}  `;
  const items = Array.isArray(value)
    ? value.map((each) => `${inner}${jsonText(each, inner)}`)
    : Object.entries(value).map(
        ([key, held]) => `${inner}"${key}": ${jsonText(held, inner, WIDTH - key.length - 4)}`,
      );
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${items.join(',\n')}\n${indent}${close}`;
}

/** The ids of machines and of the cluster in the manual: those of the scene are made from names, or random. */
const IDS = [
  ['m1', 'b09dd2cd-ca90-3c8d-e169-0b489f658d85'],
  ['m2', 'c815900c-26f5-1e79-2a55-9740f8babe76'],
  ['m3', 'f614ea2e-4be3-9e45-9e0c-3c4d3a4b1d0e'],
] as const;

function withIds(text: string): string {
  return IDS.reduce(
    (before, [name, id]) => before.replaceAll(formatMachineId(idOf(name)), id),
    text.replace(/("cluster": )"[^"]*"/, '$1"0b1fda7c-6a4e-4bb5-9a54-7f6d1c3d2e10"'),
  );
}

describe('the manual', () => {
  it('has in json the exit statuses, and an example of the JSON of each command; "npm run docs" writes them', async () => {
    const examples = await Promise.all(
      Object.entries(ANSWERS).map(async ([name, ask]) => {
        const scene = await busy();
        return [name, jsonText(shortened(await ask(scene))).replaceAll(`${scene.cwd}/`, '')] as const;
      }),
    );
    const text = examples.reduce(
      (before, [name, example]) => withExample(before, name, withIds(example)),
      withExample(withExitStatuses(topic('json')), 'events', withIds(await eventLines(await busy()))),
    );
    await expect(text).toMatchFileSnapshot('../src/manual/json.md');
  });

  it('names the keys of rollback', async () => {
    for (const key of await rollbackKeys(await busy())) expect(topic('json')).toContain(`\`${key}\``);
  });
});

/** The first decision about a place. */
async function eventLines({ ports: { registry } }: Scene): Promise<string> {
  const rows = await listEvents(registry, { about: ['hello'], lines: undefined });
  return rows
    .filter(({ event }) => event.kind === 'place')
    .map((row) => JSON.stringify(eventJson(row)))
    .join('\n');
}

/** The text of the manual with this example in the block of that name. */
function withExample(text: string, name: string, example: string): string {
  const block = new RegExp(`(^\`\`\`json ${name}\n)[\\s\\S]*?(?=^\`\`\`$)`, 'm');
  expect(text).toMatch(block);
  return text.replace(block, (_, start: string) => `${start}${example}\n`);
}
