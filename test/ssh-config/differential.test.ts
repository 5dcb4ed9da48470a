import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runs, seeded } from '../support/random.ts';
import { CORPUS } from './corpus.ts';
import { type Case, randomCase } from './random-case.ts';
import { type Answer, askFleet, askSsh, hasSsh, learnDefaults } from './ssh-g.ts';

const GENERATED = runs(60);
const isThere = hasSsh();
if (!isThere) process.stderr.write('skipped: there is no ssh to compare ssh_config with\n');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-ssh-config-'));
  await writeFile(join(folder, 'empty'), '');
  if (isThere) await learnDefaults(join(folder, 'empty'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.skipIf(!isThere)('reads every configuration of the corpus as ssh does', async () => {
  expect(CORPUS.length).toBeGreaterThanOrEqual(60);
  expect(differences(await compare(CORPUS))).toEqual([]);
});

it.skipIf(!isThere)('reads configurations made at random as ssh does', async () => {
  const random = seeded(20_261_125);
  const answers = await compare(Array.from({ length: GENERATED }, () => randomCase(random)));
  expect(differences(answers)).toEqual([]);
  const refused = answers.filter(({ ssh }) => ssh === 'refused').length;
  expect(refused).toBeLessThan(GENERATED / 4);
});

type Told = { readonly label: string; readonly fleet: Answer; readonly ssh: Answer };

/** The differences, each with its configuration and host. */
function differences(told: readonly Told[]): readonly string[] {
  return told.flatMap(({ label, fleet, ssh }) => {
    if (fleet === 'refused' || ssh === 'refused')
      return fleet === ssh ? [] : [`${label}\nfleet: ${short(fleet)}\nssh: ${short(ssh)}`];
    return Object.keys(ssh)
      .filter((name) => JSON.stringify(fleet[name]) !== JSON.stringify(ssh[name]))
      .map(
        (name) => `${label}\n${name}: fleet ${JSON.stringify(fleet[name])}, ssh ${JSON.stringify(ssh[name])}`,
      );
  });
}

function short(answer: Answer): string {
  return answer === 'refused' ? answer : 'accepted';
}

/** The answers of both. */
async function compare(cases: readonly Case[]): Promise<readonly Told[]> {
  const told = cases.map(async ({ text, files = {}, hosts }) => {
    const place = await mkdtemp(join(folder, 'case-'));
    const config = join(place, 'config');
    for (const [name, raw] of Object.entries({ ...files, config: text })) {
      await mkdir(dirname(join(place, name)), { recursive: true });
      await writeFile(join(place, name), raw.replaceAll('@/', `${place}/`), { mode: 0o600 });
    }
    return hosts.map((host) => ({
      label: `${host}\n${text}\n${JSON.stringify(files)}`,
      fleet: askFleet(config, host),
      asked: [config, host] as const,
    }));
  });
  const all = (await Promise.all(told)).flat();
  const answers = await askSsh(all.map(({ asked }) => asked));
  return all.map(({ label, fleet }, at) => ({ label, fleet, ssh: answers[at] ?? 'refused' }));
}
