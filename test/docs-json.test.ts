import { describe, expect, it } from 'vitest';
import { compareText } from '../src/base/text.ts';
import { doctor, finder } from '../src/operations/doctor.ts';
import { explainUnit } from '../src/operations/explain.ts';
import { listMachines } from '../src/operations/list-machines.ts';
import { listUnitFiles } from '../src/operations/list-unit-files.ts';
import { listUnits } from '../src/operations/list-units.ts';
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
import { explanationJson } from '../src/output/explanation.ts';
import { listingJson } from '../src/output/field.ts';
import { textsJson } from '../src/output/json.ts';
import { historyJson, MACHINES, UNIT_FILES, UNITS } from '../src/output/listings.ts';
import { passJson } from '../src/output/pass.ts';
import { recoverJson } from '../src/output/recover.ts';
import { requestJson, restartJson, rollbackJson } from '../src/output/request-json.ts';
import { planJson } from '../src/output/sets/plan.ts';
import { statusJson } from '../src/output/status.ts';
import { verificationJson } from '../src/output/verification.ts';
import { createRegistry } from '../src/registry/registry.ts';
import { makeDesk } from './cli/desk.ts';
import { FALSE, GLOBAL, makeScene, type Scene, SLEEP } from './operations/scene.ts';
import { TTL_MS } from './support/builders.ts';
import { topic } from './support/manual.ts';
import { createMemoryStore } from './support/memory-store.ts';

const MANUAL = topic('json');
const EXAMPLES = [...MANUAL.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text = '']): object =>
  JSON.parse(text),
);

/** The JSON of every command for a cluster with all kinds of content. */
const ANSWERS: Readonly<Record<string, (scene: Scene) => Promise<object>>> = {
  'list-units': async ({ ports }) => listingJson(UNITS, await listUnits(ports)),
  'list-unit-files': async ({ ports }) => listingJson(UNIT_FILES, await listUnitFiles(ports)),
  'list-machines': async ({ ports }) => listingJson(MACHINES, await listMachines(ports)),
  status: async ({ ports }) =>
    statusJson(
      await unitStatus(ports, { verb: 'status', units: ['a', 'g'], machine: undefined, lines: undefined }),
    ),
  history: async ({ ports }) => historyJson(await history(ports.registry, 'a')),
  explain: async ({ ports, cwd }) => explanationJson(await explainUnit(ports, { unit: 'a', cwd })),
  reconcile: async ({ ports, clock, start, machines }) => {
    await start('bad');
    machines.of('m3').unreachable = undefined;
    machines.disconnect('m1');
    await listUnits(ports);
    clock.time += 2 * TTL_MS;
    return passJson(await reconcileEverything(ports));
  },
  verify: async ({ ports, cwd }) =>
    verificationJson(
      await verify(ports, { units: ['a', 'lost.timer'], cwd, replace: true, machine: undefined }),
    ),
  start: async ({ ports, cwd, write }) => {
    await write('a.service', `# other\n${SLEEP}`);
    await write('also.service', `${SLEEP}[Install]\nAlso=a.socket\n`);
    await write('web@.service', SLEEP);
    await start(ports, { units: ['web@1'], cwd, replace: false });
    await write('web@.service', `# other\n${SLEEP}`);
    const request = { units: ['a', 'c', 'db', 'bad', 'also', 'gone', 'web@2'], cwd, replace: false };
    return requestJson(await start(ports, request), false);
  },
  plan: async ({ ports, cwd, write }) => {
    const text = `${SLEEP}[X-Fleet]\nMachineMetadata=role=web\n`;
    const planned = async () =>
      planSet(ports, wantedSet(await readUnitFolder(['units'], cwd), undefined), {
        ...{ adopt: false, prune: false, pruneLimit: undefined },
      });
    await write('units/a.service', text);
    await write('units/new.service', text);
    await write('units/notes.txt', '');
    return planJson(await planned());
  },
  rollback: async (scene) => {
    await scene.write('a.service', `${SLEEP}Nice=1\n`);
    await scene.submit(['a'], true);
    return specificKeys(rollbackJson(await rollback(scene.ports, { unit: 'a', to: undefined }), false));
  },
  restart: async ({ ports, write, submit }) => {
    await write('a.service', FALSE);
    await submit(['a'], true);
    return specificKeys(restartJson(await restart(ports, ['a', 'b'], 1), false));
  },
  recover: async ({ ports, machines, clock }) => {
    machines.of('m3').unreachable = undefined;
    const here = machines.of('m1').units.get('a.service');
    if (here !== undefined) here.text = `${SLEEP}# edited\n`;
    const registry = createRegistry(createMemoryStore(), { clock, author: 'me@here' });
    return recoverJson(await recover({ ...ports, registry }, { accept: [], reject: [], trust: [] }), false);
  },
  doctor: async ({ ports, machines }) => {
    machines.disconnect('m3');
    const login = async () => ({ address: '10.0.0.1', credential: 'id' });
    const examiner = { ...ports, login, userOf: () => 'core' };
    return doctorJson(await doctor(examiner, finder(ports), [], async () => undefined));
  },
  cat: async ({ ports }) => textsJson(await cat(ports.registry, 'a')),
  version: async () => JSON.parse((await (await makeDesk('')).run(['version', '-o', 'json'])).out),
};

/** Unit a is on m1, b on m2, g on all machines; m3 is unreachable. */
async function busy(): Promise<Scene> {
  const scene = await makeScene({ m1: { role: 'web' }, m2: {}, m3: {} });
  await scene.write('a.service', SLEEP);
  await scene.write('b.service', SLEEP);
  await scene.write('c.service', SLEEP);
  await scene.write('g.service', GLOBAL);
  await scene.write('bad.service', FALSE);
  await scene.write('db.service', `${SLEEP}[X-Fleet]\nMachineMetadata=role=db\n`);
  await scene.write('lost.timer', '[Timer]\nOnActiveSec=1h\n');
  await scene.start('a', 'b', 'g');
  scene.machines.disconnect('m3');
  await listUnits(scene.ports);
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

const keysOf = (answer: object): readonly string[] => Object.keys(answer).toSorted(compareText);
const lastOf = (path: string): string => path.slice(path.lastIndexOf('.') + 1);
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('.'));

describe('the manual', () => {
  const documented = new Set(EXAMPLES.flatMap((example) => pathsOf(example)).map(lastOf));

  it.each(Object.entries(ANSWERS))('shows the JSON of %s with exactly its keys', async (verb, ask) => {
    const answer = await ask(await busy());
    const keys = keysOf(answer);
    const example = EXAMPLES.find((each) => String(keysOf(each)) === String(keys));
    if (verb === 'rollback') {
      // Its keys are described in the text.
      for (const key of keys) expect(MANUAL).toContain(`\`${key}\``);
      return;
    }
    expect({ keys, example }).toEqual({ keys, example: expect.anything() });
    const shown = pathsOf(example);
    const given = pathsOf(answer);
    expect(shown.filter((path) => !given.includes(path))).toEqual([]);
    const open = new Set(shown.map(parentOf));
    // A key that is empty or null in one example, such as `unreachable`, is shown in another.
    const missing = given.filter(
      (path) => !shown.includes(path) && (open.has(parentOf(path)) || !documented.has(lastOf(path))),
    );
    expect(missing).toEqual([]);
  });
});
